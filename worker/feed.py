"""Following a job as it changes, for asyncio, beside the blocking `worker.store`.

Conventions: a job's stream in Redis holds an entry for every change of status and progress; the entry's id
is what a client may send as `Last-Event-ID`. Following ends with the entry whose status is terminal, or
when the job is gone.
"""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from pydantic import TypeAdapter

from worker import keys
from worker.connection import connect_async
from worker.jobs import JobStatus, QueueName
from worker.progress import Progress

# How long one read waits for news; in between the place in the queue is looked up.
BLOCK_S = 1.0
FROM_START = "0-0"
_PROGRESS = TypeAdapter(Progress)
_SHORTEST_BLOCK_S = 0.001  # 0 would mean for ever


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


class Feed:
    """The streams of all jobs. Make it inside the running event loop, and close it there."""

    def __init__(self, redis_url: str) -> None:
        self._redis: redis.asyncio.Redis = connect_async(redis_url, longest_block_s=BLOCK_S)
        self._stopping = False

    def stop(self) -> None:
        """Ends all following and waiting within `BLOCK_S`, as if nothing more were to come."""
        self._stopping = True

    async def close(self) -> None:
        """Gives up the connections."""
        await self._redis.aclose()

    async def follow(self, job_id: str, queue: QueueName, after: str = FROM_START) -> AsyncIterator[JobEvent]:
        """Every event later than the entry `after`, as they come, up to the job's end."""
        last: JobEvent | None = None
        while not self._stopping:
            events = await self._read(job_id, after)
            for event in events:
                position = await self._position(job_id, queue) if event.status is JobStatus.QUEUED else None
                last = JobEvent(event.id, job_id, event.status, event.progress, position)
                after = last.id or after
                yield last
                if last.status.is_terminal:
                    return
            if events:
                continue
            if not await self._redis.exists(keys.record(job_id)):
                return
            if last is not None and last.status is JobStatus.QUEUED:
                position = await self._position(job_id, queue)
                if position != last.queue_position:
                    last = JobEvent(None, job_id, last.status, last.progress, position)
                    yield last

    async def ended(self, job_id: str, timeout_s: float) -> bool:
        """Waits for the job to end; False when it did not in time, is gone, or waiting was stopped.

        A deadline between reads and not `asyncio.timeout`, because redis-py loses a cancellation that arrives
        at the wrong moment, after which the wait would go on for ever.
        """
        deadline, after = time.monotonic() + timeout_s, FROM_START
        while not self._stopping:
            left_s = deadline - time.monotonic()
            events = await self._read(job_id, after, min(BLOCK_S, max(left_s, _SHORTEST_BLOCK_S)))
            if events:
                after = events[-1].id or after
                if events[-1].status.is_terminal:
                    return True
            elif left_s <= 0 or not await self._redis.exists(keys.record(job_id)):
                return False
        return False

    async def last_entry(self, job_id: str) -> str | None:
        """The id of the newest entry of a job's stream."""
        entries = cast(Any, await self._redis.xrevrange(keys.events(job_id), count=1))
        return entries[0][0].decode() if entries else None

    async def _read(self, job_id: str, after: str, block_s: float = BLOCK_S) -> list[JobEvent]:
        found = cast(
            Any,
            await self._redis.xread({keys.events(job_id): after}, count=100, block=round(block_s * 1000)),
        )
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
