"""Hearing of jobs that change: at once, of one's own alone, and again after Redis was away."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import LIFETIMES, new_job
from worker import keys
from worker.connection import connect_async
from worker.jobs import Job
from worker.progress import Progress
from worker.store import JobStore
from worker.watch import News, Watch

SOON_S = 5.0


@pytest.fixture
def store(redis_url: str) -> JobStore:
    return JobStore(Redis.from_url(redis_url), LIFETIMES)


def watched(url: str, use: Callable[[Watch], Awaitable[None]]) -> None:
    """Uses a watch within an event loop of its own."""

    async def run() -> None:
        client = connect_async(url, most=4)
        watch = Watch(client)
        try:
            await use(watch)
        finally:
            await watch.close()
            await client.aclose()

    asyncio.run(run())


def admitted(store: JobStore) -> Job:
    job = new_job()
    store.admit(job, b"recording", max_queued=10)
    return job


async def listening(news: News) -> None:
    """Until the watch is told that it is, which tells all watchers to look."""
    await asyncio.wait_for(news.wait(SOON_S), SOON_S)
    news.forget()


async def has_news(news: News, within_s: float) -> bool:
    started = time.monotonic()
    await news.wait(within_s)
    return time.monotonic() - started < within_s


def test_a_change_is_heard_of_and_that_of_another_job_is_not(redis_url: str, store: JobStore) -> None:
    mine, other = admitted(store), admitted(store)

    async def use(watch: Watch) -> None:
        with watch.on(mine.id) as news:
            await listening(news)
            await asyncio.to_thread(store.begin, other.id, "token", max_attempts=3)
            assert not await has_news(news, 0.3)
            await asyncio.to_thread(store.begin, mine.id, "token", max_attempts=3)
            assert await has_news(news, SOON_S)
            assert not news.has_ended

    watched(redis_url, use)


def test_who_waits_for_the_end_hears_of_nothing_else(redis_url: str, store: JobStore) -> None:
    job = admitted(store)

    async def use(watch: Watch) -> None:
        with watch.on(job.id, ends_only=True) as news:
            await listening(news)
            await asyncio.to_thread(store.begin, job.id, "token", max_attempts=3)
            await asyncio.to_thread(store.advance, job.id, "token", Progress("decoding", 0, 1))
            assert not await has_news(news, 0.3)
            await asyncio.to_thread(store.succeed, job.id, "token", {})
            assert await has_news(news, SOON_S)
            assert news.has_ended

    watched(redis_url, use)


def test_a_connection_that_breaks_tells_all_to_look(redis_url: str, store: JobStore) -> None:
    job = admitted(store)

    async def use(watch: Watch) -> None:
        with watch.on(job.id, ends_only=True) as news:
            await listening(news)
            with Redis.from_url(redis_url) as redis:
                await asyncio.to_thread(redis.client_kill_filter, _type="pubsub")
            assert await has_news(news, SOON_S)

    watched(redis_url, use)


def test_what_another_version_says_makes_everybody_look(redis_url: str, store: JobStore) -> None:
    job = admitted(store)

    async def use(watch: Watch) -> None:
        with watch.on(job.id, ends_only=True) as news:
            await listening(news)
            with Redis.from_url(redis_url) as redis:
                await asyncio.to_thread(redis.publish, keys.NEWS, f"{job.id} pondering")
            assert await has_news(news, SOON_S)
            assert not news.has_ended

    watched(redis_url, use)
