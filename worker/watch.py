"""Hearing of jobs that change, however many are waited for, over one connection.

Conventions: who changes a job says so on a channel in Redis, in the transaction that stores the change, so
nobody hears of what could still be lost. Watchers are told that there is news, and whether it is the job's
end; what it is each reads for itself. One who hears nothing looks for itself now and then, because while
Redis is away nobody is told anything; when it is back, all are told to look.
"""

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis.asyncio
from redis.client import Pipeline

from worker import keys
from worker.connection import UNAVAILABLE
from worker.jobs import Job, JobStatus

log = logging.getLogger(__name__)

# How long it takes at the most to notice that nothing more is to be heard.
LISTEN_S = 0.5
_AWAY_S = 0.5


def tell_in(pipe: Pipeline, job: Job) -> None:
    """Adds to the transaction that changes a job that those who watch it hear of it."""
    pipe.publish(keys.NEWS, f"{job.id} {job.status}")


@dataclass(eq=False)
class News:
    """What a watcher of one job has heard since it looked last."""

    ends_only: bool
    has_ended: bool = False
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, status: JobStatus | None) -> None:
        """The job has changed; None when it may have, and nobody knows."""
        self.has_ended |= status is not None and status.is_terminal
        if status is None or status.is_terminal or not self.ends_only:
            self._heard.set()

    def forget(self) -> None:
        """Called before looking: what is heard from now on is news."""
        self._heard.clear()

    async def wait(self, timeout_s: float) -> None:
        """Until there is news, or for this long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
        except TimeoutError:
            return


class Watch:
    """All the jobs that somebody watches, within one event loop."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._watchers: dict[str, set[News]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._is_closed = False

    @contextmanager
    def on(self, job_id: str, *, ends_only: bool = False) -> Iterator[News]:
        """Watches a job; with `ends_only` nothing is told but its end."""
        news = News(ends_only)
        self._watchers.setdefault(job_id, set()).add(news)
        if self._listening is None or self._listening.done():
            # Whoever comes first is not whom the others' news is about.
            self._listening = asyncio.create_task(self._listen_on(), context=contextvars.Context())
        try:
            yield news
        finally:
            watchers = self._watchers[job_id]
            watchers.discard(news)
            if not watchers:
                del self._watchers[job_id]

    async def close(self) -> None:
        """Ends all watching."""
        self._is_closed = True
        if self._listening is not None:
            await self._listening

    async def _listen_on(self) -> None:
        while not self._is_closed:
            try:
                await self._listen()
            except UNAVAILABLE as error:
                log.warning("could not listen for news of jobs", extra={"error": repr(error)})
                await asyncio.sleep(_AWAY_S)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as channel:
            await channel.subscribe(keys.NEWS)
            while not self._is_closed:
                message = await channel.get_message(timeout=LISTEN_S)
                if message is None:
                    continue
                if message["type"] == "subscribe":  # now, and whenever the connection was made anew
                    for watchers in self._watchers.values():
                        _tell(watchers, None)
                elif message["type"] == "message":
                    job_id, _, status = message["data"].decode().partition(" ")
                    _tell(self._watchers.get(job_id, set()), _status_of(status))


def _status_of(text: str) -> JobStatus | None:
    """None for a status that only another version of the program knows: whoever hears of it looks."""
    try:
        return JobStatus(text)
    except ValueError:
        return None


def _tell(watchers: set[News], status: JobStatus | None) -> None:
    for news in watchers:
        news.hear(status)
