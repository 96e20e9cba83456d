"""Bodies of orders that are no orders: each is refused as what it is, and none is a fault of the service."""

from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from service.settings import ServiceSettings
from tests.unit.service.conftest import serving
from tests.unit.service.requests_made import assert_problem

KEY = "k" * 40
JSON, YAML = "application/json", "application/yaml"

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a text": b'"x"',
    "a list": b"[]",
    "a number of 5,000 digits": b'{"recipe": {"seed": ' + b"1" * 5000 + b"}}",
    "a number of 300,000 digits": b'{"recipe": {"seed": ' + b"1" * 300_000 + b"}}",
    "an infinite number": b'{"recipe": {"seed": 1e999999}}',
    "no number": b'{"recipe": {"seed": NaN}}',
    "half a character": b'{"recipe": "\\ud800", "dataset": "\\ud800"}',
    "half a character as a field": b'{"\\ud800": 1}',
    "a zero": b'{"url": "file:///\\u0000", "dataset": "\\u0000"}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "bytes": bytes(range(256)),
    "UTF-16": '{"recipe": {}}'.encode("utf-16"),
}


@pytest.fixture(scope="module")
def orders(redis_server: str) -> Iterator[httpx.Client]:
    """A client that may order; the API is one for all these tests."""
    settings = ServiceSettings(redis_url=redis_server, port=0, admin_key=SecretStr(KEY))
    with (
        serving(settings) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60.0) as client,
    ):
        yield client


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("kind", [JSON, YAML])
@pytest.mark.parametrize("call", ["/datasets", "/trainings"])
def test_what_is_no_order(orders: httpx.Client, call: str, kind: str, body: bytes) -> None:
    answer = orders.post(call, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert_problem(answer, 422, answer.json()["type"].removeprefix("/problems/"))
