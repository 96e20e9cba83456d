"""How the service stands at a moment: what waits, what runs, who works, and how much Redis holds.

Conventions: everything is read from Redis and nothing written, so that it can be looked at while all else is
at a standstill. Functions raise one of `worker.connection.UNAVAILABLE` when Redis does not answer. Waiting is
measured from the time in the job's id.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError

from worker import jobs, keys
from worker.ids import made_at_s
from worker.jobs import Job, JobStatus, QueueName
from worker.leases import AT

# How many records are read at a time.
_BATCH = 100


@dataclass(frozen=True)
class Waiting:
    """What waits in a queue; an age of 0 when nothing does."""

    depth: int
    oldest_age_s: float


@dataclass(frozen=True)
class Memory:
    """What Redis keeps its data in; a limit of 0 is none."""

    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class Server:
    """The Redis itself. `persistence` says what of it outlives the process."""

    version: str
    memory: Memory
    persistence: str


def waiting_jobs(redis: Redis, queue: QueueName) -> Waiting:
    """What waits in a queue."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.zcard(keys.queue(queue))
        pipe.zrange(keys.queue(queue), 0, 0)
        depth, first = cast(tuple[int, list[bytes]], tuple(pipe.execute()))
    age_s = time.time() - made_at_s(first[0].decode()) if first else 0.0
    return Waiting(depth, max(age_s, 0.0))


def running_jobs(redis: Redis) -> tuple[Job, ...]:
    """The jobs that were begun and have not ended, the oldest first."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.zrange(keys.LEASES, 0, -1)
        for queue in QueueName:
            pipe.zrange(keys.queue(queue), 0, -1)
        cared_for, *queued = cast(list[list[bytes]], pipe.execute())
    begun = {name.partition(b"/")[0] for name in cared_for}.difference(*queued)
    found = records(redis, sorted(member.decode() for member in begun))
    return tuple(job for job in found.values() if job.status is JobStatus.RUNNING)


def at_work(redis: Redis) -> Mapping[str, str]:
    """What each process of a worker is at, by the process's name: a job, or `job/unit` of a large one."""
    held = cast(dict[bytes, bytes], redis.hgetall(keys.LEASE_HOLDERS))
    return {holder.decode().partition(AT)[2]: name.decode() for name, holder in held.items()}


def outcomes(redis: Redis) -> dict[str, dict[str, int]]:
    """How many jobs have ended how, by kind and status."""
    counts: dict[str, dict[str, int]] = {}
    for name, count in sorted(cast(dict[bytes, bytes], redis.hgetall(keys.OUTCOMES)).items()):
        kind, _, status = name.decode().partition(":")
        counts.setdefault(kind, {})[status] = int(count)
    return counts


def jobs_since(redis: Redis, since: datetime, most: int) -> tuple[Job, ...]:
    """The jobs that were made since then and are still kept, the newest `most` of them."""
    found = cast(list[bytes], redis.zrange(keys.JOBS, "+", "-", bylex=True, desc=True, offset=0, num=most))
    ids = [member.decode() for member in found]
    recent = [job_id for job_id in ids if made_at_s(job_id) >= since.timestamp()]
    return tuple(records(redis, recent).values())


def records(redis: Redis, ids: list[str]) -> Mapping[str, Job]:
    """The jobs of these ids that are there, in their order."""
    found: dict[str, Job] = {}
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        stored = cast(list[bytes | None], redis.mget([keys.record(job_id) for job_id in batch]))
        found |= {
            job_id: jobs.from_record(record)
            for job_id, record in zip(batch, stored, strict=True)
            if record is not None
        }
    return found


def memory_of(redis: Redis) -> Memory:
    """How much memory Redis uses, and how much it may."""
    told = cast(dict[str, int], redis.info("memory"))
    return Memory(int(told["used_memory"]), int(told["maxmemory"]))


def server_of(redis: Redis) -> Server:
    """What Redis says of itself."""
    told = cast(dict[str, object], redis.info())
    return Server(
        str(told["redis_version"]), memory_of(redis), _persistence(redis, bool(told["aof_enabled"]))
    )


def _persistence(redis: Redis, is_logged: bool) -> str:
    if not is_logged:
        return "no append-only file"
    try:
        policy = cast(dict[str, str], redis.config_get("appendfsync"))
    except ResponseError:  # hosted services keep their configuration to themselves
        policy = {}
    return f"append-only file, written {policy.get('appendfsync', 'as configured')}"
