"""What the end of a job changes besides its record: who works on it, what is kept of it, and until when.

Conventions: each function adds to the transaction that writes the record.
"""

from datetime import datetime

from redis.client import Pipeline

from worker import idempotency, keys, result_cache, webhooks
from worker.figures import count_in, observe_in
from worker.jobs import Job
from worker.tombstones import Fate, tombstone_text


def end_in(pipe: Pipeline, job: Job, expires_at: datetime, *, tombstone_ttl_s: float) -> None:
    """What was sent goes at once; what was found out, and all that is known of the job, when it expires."""
    expires_ms = round(expires_at.timestamp() * 1000)
    leave_in(pipe, job)
    pipe.delete(keys.uploads(job.id), *keys.units(job.id))
    if job.result is None:
        pipe.delete(keys.artifacts(job.id), keys.artifact_info(job.id))
    for key in keys.parts(job.id):
        pipe.pexpireat(key, expires_ms)
    pipe.zadd(keys.EXPIRIES, {job.id: expires_ms})
    idempotency.expire(pipe, job, expires_ms)
    result_cache.enter(pipe, job, expires_ms)
    webhooks.schedule(pipe, job)
    gone_ms = expires_ms + round(tombstone_ttl_s * 1000)
    pipe.set(keys.tombstone(job.id), tombstone_text(Fate.EXPIRED, job.audience), pxat=gone_ms)
    pipe.hincrby(keys.OUTCOMES, f"{job.kind}:{job.status}", 1)
    _measure(pipe, job)


def leave_in(pipe: Pipeline, job: Job) -> None:
    """Nobody need work on the job any more, and its place is free."""
    pipe.zrem(keys.LEASES, job.id)
    pipe.hdel(keys.LEASE_HOLDERS, job.id)
    if job.order is not None:
        pipe.hdel(keys.PLACES, job.order.place)


def _measure(pipe: Pipeline, job: Job) -> None:
    if job.finished_at is not None and not job.cached:
        lasted_s = (job.finished_at - job.created_at).total_seconds()
        observe_in(pipe, "job_seconds", lasted_s, kind=job.kind, status=job.status)
    if job.error is not None:
        count_in(pipe, "job_failures", kind=job.kind, problem=job.error.type)
