"""Following jobs through a real Redis."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import LIFETIMES, new_job
from worker import feed
from worker.feed import Feed, JobEvent
from worker.jobs import Job, JobStatus
from worker.progress import Progress
from worker.store import JobStore


@pytest.fixture
def store(redis_url: str) -> JobStore:
    return JobStore(Redis.from_url(redis_url), LIFETIMES)


@pytest.fixture
def job(store: JobStore) -> Job:
    job = new_job()
    store.admit(job, b"recording", max_queued=10)
    return job


async def with_feed(url: str, use: Callable[[Feed], Coroutine[Any, Any, Any]]) -> Any:
    opened = Feed(url)
    try:
        return await use(opened)
    finally:
        await opened.close()


def followed(url: str, job: Job, after: str = feed.FROM_START) -> list[JobEvent]:
    async def collect(opened: Feed) -> list[JobEvent]:
        return [event async for event in opened.follow(job.id, job.queue, after)]

    events: list[JobEvent] = asyncio.run(with_feed(url, collect))
    return events


def live(store: JobStore, job: Job) -> None:
    store.begin(job.id, "mine", max_attempts=3)
    store.advance(job.id, "mine", Progress("classifying", 1, 2))
    store.succeed(job.id, "mine", {})


def test_every_change_in_order(redis_url: str, store: JobStore, job: Job) -> None:
    live(store, job)
    events = followed(redis_url, job)
    assert [event.status for event in events] == ["queued", "running", "running", "succeeded"]
    assert events[2].progress == Progress("classifying", 1, 2)
    assert all(event.job_id == job.id for event in events)


def test_going_on_after_an_event(redis_url: str, store: JobStore, job: Job) -> None:
    live(store, job)
    events = followed(redis_url, job)
    assert events[1].id is not None
    assert followed(redis_url, job, events[1].id) == events[2:]


def test_nothing_comes_after_the_end(redis_url: str, store: JobStore, job: Job) -> None:
    live(store, job)
    assert followed(redis_url, job, f"{2**64 - 1}-1") == []


def test_an_end_that_is_not_waited_for_ends_the_stream(redis_url: str, store: JobStore, job: Job) -> None:
    later = threading.Timer(0.3, live, (store, job))
    later.start()
    assert followed(redis_url, job, f"{2**64 - 1}-1") == []
    later.join()


def test_any_number_follow_with_a_few_connections(redis_url: str, store: JobStore) -> None:
    jobs = [new_job() for _ in range(150)]
    for each in jobs:
        store.admit(each, b"recording", max_queued=1_000)

    async def follow(opened: Feed) -> tuple[int, list[list[JobEvent]]]:
        async def collect(job: Job) -> list[JobEvent]:
            return [event async for event in opened.follow(job.id, job.queue)]

        def count_clients() -> int:
            with Redis.from_url(redis_url) as client:
                return len(client.client_list())

        n_others = await asyncio.to_thread(count_clients)
        following = [asyncio.create_task(collect(each)) for each in jobs]
        waiting = asyncio.create_task(opened.ended(jobs[-1].id, 20.0))
        await asyncio.sleep(0.5)
        n_clients = await asyncio.to_thread(count_clients) - n_others
        for each in jobs:
            await asyncio.to_thread(store.cancel, each.id)
        assert await waiting
        return n_clients, await asyncio.gather(*following)

    n_clients, followed_all = asyncio.run(with_feed(redis_url, follow))
    assert 0 < n_clients < feed.MOST_CONNECTIONS + 10
    assert {events[-1].status for events in followed_all} == {JobStatus.CANCELLED}


def test_changes_as_they_come(redis_url: str, store: JobStore, job: Job) -> None:
    later = threading.Timer(0.3, live, (store, job))
    later.start()
    assert followed(redis_url, job)[-1].status is JobStatus.SUCCEEDED
    later.join()


def test_the_place_in_the_queue_is_followed(redis_url: str, store: JobStore, job: Job) -> None:
    second = new_job()
    store.admit(second, b"recording", max_queued=10)

    def go_on() -> None:
        store.cancel(job.id)
        time.sleep(feed.BLOCK_S * 2.5)
        store.cancel(second.id)

    later = threading.Timer(0.2, go_on)
    later.start()
    events = followed(redis_url, second)
    later.join()
    assert [(event.status, event.queue_position) for event in events] == [
        ("queued", 2),
        ("queued", 1),
        ("cancelled", None),
    ]
    assert [event.id is None for event in events] == [False, True, False]


def test_a_job_that_is_gone_has_no_events(redis_url: str, store: JobStore, job: Job) -> None:
    store.cancel(job.id)
    store.delete(job.id)
    assert followed(redis_url, job) == []


@pytest.mark.parametrize(("ends", "timeout_s"), [(True, 10.0), (True, 0.0), (False, 0.3), (False, 0.0)])
def test_waiting_for_the_end(redis_url: str, store: JobStore, job: Job, ends: bool, timeout_s: float) -> None:
    if ends:
        live(store, job)
    started = time.monotonic()
    ended = asyncio.run(with_feed(redis_url, lambda opened: opened.ended(job.id, timeout_s)))
    assert ended is ends
    assert time.monotonic() - started < timeout_s + 1.0
