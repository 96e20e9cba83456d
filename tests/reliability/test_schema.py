"""The API does what its description says: schemathesis makes requests from it, and judges every answer.

The same service answers at two places: one asks for keys, at the other none is needed. What the service tells
of itself at each (`/openapi.json`) is what it is held to.
"""

import base64
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.processes import running_stack, start_api
from tests.reliability.conftest import Size
from tests.reliability.report import Report
from tests.reliability.schema_runs import EXCLUSIONS, PHASES, WEBHOOK_HOST, SchemaRun, run
from worker.api_keys import ApiKeys, Scope

ADMIN_KEY = f"admin-{secrets.token_urlsafe(24)}"
MANY_JOBS = "100000"  # a queue that is full would be an answer of its own, which others test

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Places:
    """Where the service answers, and its keys of scope infer, by who holds them."""

    open_url: str
    closed_url: str
    keys: dict[str, str]
    folder: Path

    @property
    def place(self) -> str:
        """Where a data set could be, and is not."""
        return str(self.folder / "state" / "datasets" / "none")


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """The service, ready to work."""
    folder = Path(tempfile.mkdtemp(prefix="ts-schema-"))
    settings = {
        "TIMBRESCOPE_ADMIN_KEY": ADMIN_KEY,
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
        "TIMBRESCOPE_MAX_QUEUED_INTERACTIVE": MANY_JOBS,
        "TIMBRESCOPE_MAX_QUEUED_BATCH": MANY_JOBS,
        "TIMBRESCOPE_WEBHOOK_HOSTS": f'["{WEBHOOK_HOST}"]',
        "TIMBRESCOPE_WEBHOOK_SECRET": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
    }
    with running_stack(folder, TIMBRESCOPE_CONCURRENCY="2", **settings) as stack:
        asking, closed_url = start_api(folder, {**stack.settings, "TIMBRESCOPE_REQUIRE_KEYS": "true"})
        try:
            with Redis.from_url(stack.redis_url) as redis:
                keys = ApiKeys(redis)
                texts = {name: keys.create(name, {Scope.INFER})[1] for name in ("alice", "bob")}
            yield Places(stack.url, closed_url, texts, folder)
            assert asking.stop() == 0, asking.text()
        finally:
            asking.kill()
    shutil.rmtree(folder)


@pytest.mark.parametrize("holder", ["nobody", "operator", "peers"])
def test_the_api_is_as_described(holder: str, places: Places, size: Size, seed: int, report: Report) -> None:
    keys = {"nobody": {}, "operator": {"operator": ADMIN_KEY}, "peers": places.keys}[holder]
    short = ("stateful",) if holder == "peers" else ("examples",)
    chosen = SchemaRun(holder, keys, size.of(2, 25), PHASES if size.is_full else short)
    url = places.open_url if holder == "nobody" else places.closed_url
    outcome = run(chosen, url, places.folder, place=places.place, seed=seed)
    outcome.require_none_failed()
    figures = outcome.figures
    assert figures["operations"]
    assert figures["judged"]
    measured = (
        f"{holder}: {figures['operations']} calls, {figures['judged']:,} answers judged by each of "
        f"{len(outcome.counts['checks'])} checks, {figures['failures']} failures"
    )
    reasons = [f"{', '.join(each.calls) or 'all calls'}: {each.reason}" for each in EXCLUSIONS]
    report.keep("schema", holder, measured, {**figures, "exclusions": reasons})
