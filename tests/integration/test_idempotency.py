"""Requests that are sent again, to several API processes at once, and to ones that were killed in between."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.integration import sounds
from tests.integration.processes import Process, start_api, start_redis
from tests.unit.service.conftest import CARD
from worker.catalog import Catalog, model_from_card
from worker.jobs import ANYONE
from worker.store import JobStore, Lifetimes

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
N_AT_ONCE = 12
WAV = sounds.audio_file(sounds.tone(1.0))


class Service:
    """Redis and API processes, without a worker: jobs are accepted and wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis, self.redis_url = start_redis(folder, *DURABLE)
        self.started = [self.redis]
        self._announce()

    def api(self) -> tuple[Process, str]:
        """One more API process."""
        process, url = start_api(self.folder, {"TIMBRESCOPE_REDIS_URL": self.redis_url})
        self.started.append(process)
        return process, url

    def restart_redis(self) -> None:
        """Kills Redis and starts it again with what was on the disk."""
        self.redis.kill()
        self.redis, _ = start_redis(self.folder, *DURABLE)
        self.started.append(self.redis)

    def jobs(self) -> list[str]:
        """The ids of all jobs."""
        store = JobStore(Redis.from_url(self.redis_url), Lifetimes(600.0, 600.0, 600.0))
        return [job.id for job in store.page(100, audiences={ANYONE}).jobs]

    def _announce(self) -> None:
        model = replace(model_from_card(CARD), layers=("features.conv1",))
        Catalog(Redis.from_url(self.redis_url)).announce("worker", [model])


@pytest.fixture
def service() -> Iterator[Service]:
    folder = Path(tempfile.mkdtemp(prefix="ts-idem-"))
    made = Service(folder)
    try:
        yield made
    finally:
        for process in reversed(made.started):
            process.kill()
        shutil.rmtree(folder)


def post(url: str, key: str, data: bytes = WAV) -> httpx.Response:
    files = {"file": ("clip.wav", data)}
    return httpx.post(f"{url}/classify", files=files, headers={"Idempotency-Key": key}, timeout=60.0)


def test_two_processes_one_job(service: Service) -> None:
    urls = [service.api()[1] for _ in range(2)]
    barrier = threading.Barrier(N_AT_ONCE)

    def send(at: int) -> httpx.Response:
        barrier.wait()
        return post(urls[at % 2], "the-same")

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        answers = list(pool.map(send, range(N_AT_ONCE)))
    (job,) = service.jobs()
    assert {answer.status_code for answer in answers} <= {202, 409}
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert {answer.json()["id"] for answer in accepted} == {job}
    assert sum("idempotency-replayed" not in answer.headers for answer in accepted) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] == "/problems/idempotency-in-flight"
            assert int(answer.headers["retry-after"]) >= 1
    assert post(urls[0], "the-same", sounds.audio_file(sounds.tone(2.0))).status_code == 422


def test_keys_outlive_the_processes(service: Service) -> None:
    process, url = service.api()
    first = post(url, "the-same")
    assert first.status_code == 202
    process.kill()
    service.restart_redis()
    _, url = service.api()
    again = post(url, "the-same")
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert service.jobs() == [first.json()["id"]]
