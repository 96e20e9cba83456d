"""Connections to a Redis that is cut off, or that stands still: what is tried again, and for how long."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from redis.exceptions import ConnectionError, TimeoutError

from tests.reliability.proxy import Proxy
from tests.unit.worker.jobs_made import LIFETIMES, new_job
from worker import connection, keys, queue
from worker.connection import connect, connect_async
from worker.errors import StoreUnavailableError
from worker.jobs import JobStatus
from worker.queue import JobQueue
from worker.settings import SharedSettings
from worker.store import JobStore

ANSWER_S = 0.3


@pytest.fixture
def proxy(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("p")
    with Proxy(folder / "p.sock", redis_url) as started:
        yield started


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The URL of something that takes connections and never answers, to clients that wait little."""
    for module in (connection, queue):
        monkeypatch.setattr(module, "ANSWER_TIMEOUT_S", ANSWER_S)
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "s.sock"
        listener.bind(str(path))
        listener.listen(16)
        yield f"unix://{path}"


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_a_connection_that_was_cut_is_made_again(proxy: Proxy) -> None:
    with connect(proxy.url) as redis:
        redis.set("a", "b")
        assert proxy.cut() > 0
        assert redis.get("a") == b"b"


def test_who_has_somebody_waiting_does_not_ask_a_silent_redis_twice(silent: str) -> None:
    with connect(silent) as redis, at_most(2 * ANSWER_S), pytest.raises(TimeoutError):
        redis.get("a")


def test_who_can_wait_asks_again(silent: str) -> None:
    began = time.monotonic()
    with connect(silent, patience=2, waits=True) as redis, pytest.raises(TimeoutError):
        redis.get("a")
    assert time.monotonic() - began >= 3 * ANSWER_S


def test_patience_ends(free_port: int) -> None:
    url = f"redis://127.0.0.1:{free_port}/0"
    with connect(url, patience=3) as redis, at_most(5.0), pytest.raises(ConnectionError):
        redis.get("a")


def test_following_does_not_wait_for_a_silent_redis_for_ever(silent: str) -> None:
    async def ask() -> None:
        async with connect_async(silent, most=2) as redis:
            await redis.get("a")

    with at_most(3 * ANSWER_S + 1.0), pytest.raises((ConnectionError, TimeoutError)):
        asyncio.run(ask())


def test_a_silent_broker_refuses_a_message_soon(silent: str) -> None:
    sender = JobQueue(SharedSettings(redis_url=silent))
    with at_most(3 * ANSWER_S + 1.0), pytest.raises(StoreUnavailableError):
        sender.send(new_job())
    sender.close()


def test_a_job_whose_admission_was_not_answered_is_admitted_once(proxy: Proxy) -> None:
    """The client asks again, for it cannot know that Redis had done it."""
    redis = connect(proxy.url)
    store, job = JobStore(redis, LIFETIMES), new_job()
    store.admit(new_job(), b"another", max_queued=10)  # from now on Redis knows the script
    proxy.swallow_answer_to(job.id.encode())
    store.admit(job, b"recording", max_queued=10)
    assert proxy.has_swallowed
    assert store.uploads(job.id) == (b"recording",)
    assert redis.xlen(keys.events(job.id)) == 1


def test_a_change_that_was_not_answered_is_made_once(proxy: Proxy) -> None:
    redis = connect(proxy.url)
    store, job = JobStore(redis, LIFETIMES), new_job()
    store.admit(job, b"recording", max_queued=10)
    proxy.swallow_answer_to(b"EXEC")
    assert store.begin(job.id, "mine", max_attempts=3).attempts == 1
    assert proxy.has_swallowed
    proxy.swallow_answer_to(b"EXEC")
    ended = store.succeed(job.id, "mine", {"instruments": []})
    assert proxy.has_swallowed
    assert ended.status is JobStatus.SUCCEEDED
    assert store.outcomes() == {("explain", "succeeded"): 1}
    entries = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrange(keys.events(job.id)))
    events = [fields[b"event"] for _, fields in entries]
    assert [b"succeeded" in event for event in events] == [False, False, True]
