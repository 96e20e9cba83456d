"""The API that is told to stop while clients wait and follow: it answers them, and goes."""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.integration import sounds
from tests.integration.processes import Process, start_api, start_redis
from worker.catalog import Catalog, model_from_card

CARD = {"id": "default", "sha256": "00" * 32, "task": "instruments", "labels": [], "thresholds": {}}
SOON_S = 3.0


@pytest.fixture
def api() -> Iterator[tuple[Process, str]]:
    """An API without workers, where jobs wait."""
    folder = Path(tempfile.mkdtemp(prefix="ts-stop-"))
    redis, redis_url = start_redis(folder)
    with Redis.from_url(redis_url) as client:
        Catalog(client).announce("worker", [model_from_card(CARD)])
    process, url = start_api(folder, {"TIMBRESCOPE_REDIS_URL": redis_url})
    yield process, url
    process.kill()
    redis.stop()
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_is_answered_first(api: tuple[Process, str], number: signal.Signals) -> None:
    process, url = api
    files = {"file": ("clip.wav", sounds.audio_file(sounds.tone(1.0)))}
    events = httpx.post(f"{url}/classify", files=files).json()["links"]["events"]
    with ThreadPoolExecutor(2) as pool:
        following = pool.submit(httpx.get, url + events, timeout=60)
        waiting = pool.submit(
            httpx.post, f"{url}/classify", files=files, headers={"Prefer": "wait=30"}, timeout=60
        )
        time.sleep(1.0)
        started = time.monotonic()
        assert process.stop(number) == 0, process.text()
        assert time.monotonic() - started < SOON_S
        assert (following.result().status_code, waiting.result().status_code) == (200, 202)
    assert '"status": "queued"' in following.result().text
    assert waiting.result().json()["status"] == "queued"
    assert "Traceback" not in process.text()
