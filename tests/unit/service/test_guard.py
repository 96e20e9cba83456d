"""Hosts and origins: who is answered, and whose web pages may do what."""

import httpx
import pytest
from pydantic import ValidationError

from service.edge.guard import HostName, is_same_origin
from service.edge.settings import EdgeSettings
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post
from tests.unit.service.wire import connected, head
from worker.catalog import Catalog

EVIL = "http://evil.example"
ALLOWED = "https://studio.example"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", HostName("localhost", None)),
        ("LOCALHOST:8000", HostName("localhost", 8000)),
        ("localhost.:80", HostName("localhost", 80)),
        ("[::1]:8000", HostName("[::1]", 8000)),
        ("127.0.0.1:", HostName("127.0.0.1", None)),
        *[(bad, None) for bad in ("", ":80", "a b", "a/b", "a@b", "a:b", "::1", "[::1", "a:123456", "a,b")],
        ("localhost:8000:1", None),
        ("evil.example#@localhost", None),
        ("lоcalhost", None),  # a Cyrillic letter
    ],
)
def test_what_is_a_host(text: str, host: HostName | None) -> None:
    assert HostName.parse(text) == host


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("HTTP://LocalHost:8000", "localhost:8000", True),
        ("http://localhost", "localhost:80", True),
        ("http://localhost:80", "localhost", True),
        ("https://example.org", "example.org", True),  # behind a proxy that ends TLS
        ("https://example.org", "example.org:443", True),
        ("http://localhost:3000", "localhost:8000", False),
        ("http://127.0.0.1:8000", "localhost:8000", False),
        ("http://evil.example:8000", "localhost:8000", False),
        ("http://localhost.evil.example:8000", "localhost:8000", False),
        ("http://localhost:8000@evil.example", "localhost:8000", False),
        ("https://example.org", "example.org:80", False),
        ("null", "localhost:8000", False),
        ("", "localhost", False),
        ("localhost", "localhost", False),
        ("ftp://localhost", "localhost", False),
        ("chrome-extension://localhost", "localhost", False),
        ("http://[::1:8000", "[::1]:8000", False),
        ("http://localhost:port", "localhost", False),
    ],
)
def test_which_pages_are_our_own(origin: str, host: str, same: bool) -> None:
    parsed = HostName.parse(host)
    assert parsed is not None
    assert is_same_origin(origin, parsed) is same


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:99", "localhost."])
def test_its_own_names(api: httpx.Client, host: str) -> None:
    assert api.get("/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/jobs", "/static/index.js", "/health/live", "/no/such/path", "/openapi.json"]
)
def test_no_other_name_is_answered(api: httpx.Client, path: str) -> None:
    """A page of evil.example, whose name was made to lead here, gets nothing."""
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"):
        answer = api.get(path, headers={"Host": host})
        problem = assert_problem(answer, 421, "misdirected")
        assert "TIMBRESCOPE_ALLOWED_HOSTS" in problem["detail"]


@pytest.mark.parametrize("host", ["", "a b", "local\thost", "localhost, evil.example", "x" * 300 + "/"])
def test_what_is_no_host(api: httpx.Client, host: str) -> None:
    assert_problem(api.get("/health/live", headers={"Host": host}), 400, "bad-request")


def test_one_host_at_a_time(api: httpx.Client) -> None:
    for request in (
        b"GET /health/live HTTP/1.1\r\n\r\n",
        b"GET /health/live HTTP/1.0\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    ):
        with connected(api) as connection:
            connection.send(request)
            answer = connection.answer()
            assert (answer.status, answer.problem) == (400, "bad-request")
            assert connection.is_closed()


def test_names_that_are_allowed(start_api: StartApi) -> None:
    api = start_api(allowed_hosts=("Timbre.Example", "[fe80::1]"))
    for host in ("timbre.example", "timbre.example:8443", "[FE80::1]:8000", "localhost"):
        assert api.get("/health/live", headers={"Host": host}).status_code == 200, host
    for host in ("other.example", "sub.timbre.example", "timbre.example.evil"):
        assert_problem(api.get("/health/live", headers={"Host": host}), 421, "misdirected")


def test_with_keys_any_name_does_until_some_are_named(start_api: StartApi) -> None:
    api = start_api(require_keys=True)
    assert api.get("/health/live", headers={"Host": "timbre.example"}).status_code == 200
    assert_problem(api.get("/health/live", headers={"Host": "a b"}), 400, "bad-request")
    api = start_api(require_keys=True, allowed_hosts=("timbre.example",))
    assert api.get("/health/live", headers={"Host": "timbre.example"}).status_code == 200
    assert_problem(api.get("/health/live", headers={"Host": "evil.example"}), 421, "misdirected")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:1"},  # another port of this machine
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "Cross-Site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_pages_elsewhere_change_nothing(api: httpx.Client, headers: dict[str, str], models: Catalog) -> None:
    sent = {name: value.replace("{host}", api.base_url.netloc.decode()) for name, value in headers.items()}
    assert_problem(post(api, headers=sent), 403, "foreign-origin")
    assert_problem(api.delete("/jobs/x", headers=sent), 403, "foreign-origin")
    assert_problem(api.put("/jobs/x", headers=sent), 403, "foreign-origin")
    assert api.get("/jobs").json()["jobs"] == []
    # They may ask, but browsers give them nothing to read.
    answer = api.get("/jobs", headers=sent)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_several_origins_are_none(api: httpx.Client) -> None:
    own = f"http://{api.base_url.netloc.decode()}"
    with connected(api) as connection:
        connection.send(head("DELETE /jobs/x HTTP/1.1", f"Origin: {own}", f"Origin: {EVIL}"))
        assert connection.answer().problem == "foreign-origin"


def test_our_own_pages_may(api: httpx.Client) -> None:
    own = f"http://{api.base_url.netloc.decode()}"
    for headers in (
        {"Origin": own, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {},
    ):
        answer = post(api, headers={"Cache-Control": "no-cache", **headers})
        assert answer.status_code == 202, headers
        assert "access-control-allow-origin" not in answer.headers


def test_nobody_is_allowed_by_default(api: httpx.Client) -> None:
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    answer = api.options("/classify", headers=asked)
    assert_problem(answer, 405, "method-not-allowed")
    assert "access-control-allow-origin" not in answer.headers


def test_origins_that_are_allowed(start_api: StartApi, models: Catalog) -> None:
    api = start_api(cors_origins=(ALLOWED,))
    asked = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST"}
    preflight = api.options(
        "/classify", headers={**asked, "Access-Control-Request-Headers": "authorization,prefer"}
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ALLOWED
    assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in preflight.headers
    answer = post(api, headers={"Origin": ALLOWED, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 202
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert {"Location", "Retry-After"} <= set(answer.headers["access-control-expose-headers"].split(", "))
    refused = api.get("/jobs/nonsense", headers={"Origin": ALLOWED})
    assert_problem(refused, 404, "unknown-job")
    assert refused.headers["access-control-allow-origin"] == ALLOWED


def test_and_no_others_are(start_api: StartApi) -> None:
    api = start_api(cors_origins=(ALLOWED,))
    for asked in (
        {"Origin": EVIL, "Access-Control-Request-Method": "POST"},
        {"Origin": ALLOWED, "Access-Control-Request-Method": "PUT"},
        {
            "Origin": ALLOWED,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-evil",
        },
    ):
        assert_problem(api.options("/classify", headers=asked), 403, "foreign-origin")
    assert_problem(post(api, headers={"Origin": EVIL}), 403, "foreign-origin")
    assert_problem(post(api, headers={"Origin": f"{ALLOWED}.evil"}), 403, "foreign-origin")
    answer = api.get("/health/live", headers={"Origin": EVIL})
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("host", ["http://a", "a:80", "a/b", "*", ""])
def test_names_in_the_settings(host: str) -> None:
    with pytest.raises(ValidationError, match="not the name of a host"):
        EdgeSettings(allowed_hosts=(host,))


@pytest.mark.parametrize(
    "origin", ["example.org", "https://example.org/", "https://a/b", "*", "null", "ftp://a"]
)
def test_origins_in_the_settings(origin: str) -> None:
    with pytest.raises(ValidationError, match="not an origin"):
        EdgeSettings(cors_origins=(origin,))
