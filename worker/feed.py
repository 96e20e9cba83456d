"""Following a job as it changes, for asyncio, beside the blocking `worker.store`.

Conventions: a job's stream in Redis holds an entry for every change of status and progress; the entry's id
is what a client may send as `Last-Event-ID`. Following ends with the entry whose status is terminal, or
when the job is gone. However many follow, one connection hears of news (`worker.watch`), and a few more,
which all share, read what there is.
"""

import json
import re
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from pydantic import TypeAdapter

from worker import keys
from worker.connection import connect_async
from worker.jobs import JobStatus, QueueName
from worker.progress import Progress
from worker.watch import Watch

# How long one who follows waits for news; in between the place in the queue is looked up.
BLOCK_S = 1.0
MOST_CONNECTIONS = 16
FROM_START = "0-0"
_PROGRESS = TypeAdapter(Progress)
_ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


@dataclass(frozen=True)
class JobEvent:
    """A change of a job. `id` is None where only the place in the queue changed, which is not in the
    stream.
    """

    id: str | None
    job_id: str
    status: JobStatus
    progress: Progress
    queue_position: int | None


def is_entry(text: str) -> bool:
    """Whether this could be an entry's id: two numbers that Redis takes."""
    return _ENTRY.fullmatch(text) is not None and max(_numbers(text)) < 2**64


class Feed:
    """The streams of all jobs. Make it inside the running event loop, and close it there."""

    def __init__(self, redis_url: str) -> None:
        self._redis: redis.asyncio.Redis = connect_async(redis_url, most=MOST_CONNECTIONS)
        self._watch = Watch(self._redis)
        self._stopping = False

    def stop(self) -> None:
        """Ends all following and waiting within `BLOCK_S`, as if nothing more were to come."""
        self._stopping = True

    async def close(self) -> None:
        """Gives up the connections."""
        await self._watch.close()
        await self._redis.aclose()

    async def follow(
        self, job_id: str, queue: QueueName, after: str = FROM_START
    ) -> AsyncGenerator[JobEvent, None]:
        """Every event later than the entry `after`, as they come, up to the job's end."""
        last: JobEvent | None = None
        with self._watch.on(job_id) as news:
            while not self._stopping:
                news.forget()
                events = await self._read(job_id, after)
                for event in events:
                    is_queued = event.status is JobStatus.QUEUED
                    position = await self._position(job_id, queue) if is_queued else None
                    last = JobEvent(event.id, job_id, event.status, event.progress, position)
                    after = last.id or after
                    yield last
                    if last.status.is_terminal:
                        return
                if events:
                    continue
                newest = await self._newest(job_id)
                if newest is None or (newest.status.is_terminal and not _is_later(newest, after)):
                    return
                if last is not None and last.status is JobStatus.QUEUED:
                    position = await self._position(job_id, queue)
                    if position != last.queue_position:
                        last = JobEvent(None, job_id, last.status, last.progress, position)
                        yield last
                await news.wait(BLOCK_S)

    async def ended(self, job_id: str, timeout_s: float) -> bool:
        """Waits for the job to end; False when it did not in time, is gone, or waiting was stopped.

        A deadline between reads and not `asyncio.timeout`, because redis-py loses a cancellation that arrives
        at the wrong moment, after which the wait would go on for ever.
        """
        deadline = time.monotonic() + timeout_s
        with self._watch.on(job_id, ends_only=True) as news:
            while not self._stopping:
                news.forget()
                if news.has_ended:
                    return True
                newest = await self._newest(job_id)
                left_s = deadline - time.monotonic()
                if newest is None or newest.status.is_terminal or left_s <= 0:
                    return newest is not None and newest.status.is_terminal
                await news.wait(min(BLOCK_S, left_s))
        return False

    async def has_later(self, job_id: str, after: str) -> bool:
        """Whether a job's stream has an entry later than `after`."""
        newest = await self._newest(job_id)
        return newest is not None and _is_later(newest, after)

    async def _newest(self, job_id: str) -> JobEvent | None:
        """The last event of a job, which is None when the job is gone."""
        entries = cast(Any, await self._redis.xrevrange(keys.events(job_id), count=1))
        return _event(*entries[0]) if entries else None

    async def _read(self, job_id: str, after: str) -> list[JobEvent]:
        found = cast(Any, await self._redis.xread({keys.events(job_id): after}, count=100))
        return [_event(entry_id, fields) for _, entries in found for entry_id, fields in entries]

    async def _position(self, job_id: str, queue: QueueName) -> int | None:
        rank = cast(int | None, await self._redis.zrank(keys.queue(queue), job_id))
        return None if rank is None else rank + 1


def _event(entry_id: bytes, fields: dict[bytes, bytes]) -> JobEvent:
    event = json.loads(fields[b"event"])
    return JobEvent(
        id=entry_id.decode(),
        job_id=event["id"],
        status=JobStatus(event["status"]),
        progress=_PROGRESS.validate_python(event["progress"]),
        queue_position=None,
    )


def _numbers(entry: str) -> tuple[int, int]:
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)


def _is_later(event: JobEvent, after: str) -> bool:
    return event.id is not None and _numbers(event.id) > _numbers(after)
