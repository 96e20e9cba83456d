"""The result cache: a question that was answered before is answered at once.

Conventions: a question's fingerprint (`service.submitting.fingerprints`) is the same for the same sound,
parameters, model and program. An entry names the latest job that has answered it, one for each API key, so
that nobody learns what others asked; it expires with its job and goes with it. What is found is a job and
not a result: the new job gets copies of its own (`worker.store.JobStore.repeat`), so that each can be
deleted by itself. A
result is copied `MOST_COPIES` times and then computed anew, and only while there is room for the copy
(`worker.room`): who asks the same again and again fills the store at most `MOST_COPIES` + 1 times as fast as
the workers work. Each copy is made of the latest and becomes the latest in one step, so that of many requests
at once no two are the same copy.
"""

from typing import cast

from redis import Redis
from redis.client import Pipeline

from worker import jobs, keys
from worker.jobs import Job, JobStatus

MOST_COPIES = 10

_LEAVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class ResultCache:
    """Which job has answered which question."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def find(self, owner: str, fingerprint: str) -> Job | None:
        """The job that has answered this question of the caller's, if it is still there and may be copied."""
        job_id = cast(bytes | None, self._redis.get(keys.cached(owner, fingerprint)))
        if job_id is None:
            return None
        record = cast(bytes | None, self._redis.get(keys.record(job_id.decode())))
        job = None if record is None else jobs.from_record(record)
        return job if job is not None and job.generation < MOST_COPIES else None


def is_latest(pipe: Pipeline, job: Job) -> bool:
    """Whether this job still answers its question; the pipeline, which watches its entry, sees it change."""
    entry = cast(bytes | None, pipe.get(keys.cached(job.owner, job.fingerprint)))
    return entry is not None and entry.decode() == job.id


def enter(pipe: Pipeline, job: Job, expires_ms: int) -> None:
    """Adds to the transaction that ends a job that its result answers its question, if it has one."""
    if job.fingerprint and job.status is JobStatus.SUCCEEDED:
        pipe.set(keys.cached(job.owner, job.fingerprint), job.id, pxat=expires_ms)


def leave(pipe: Pipeline, job: Job) -> None:
    """Adds to the transaction that removes a job that it answers nothing any more."""
    if job.fingerprint:
        pipe.eval(_LEAVE, 1, keys.cached(job.owner, job.fingerprint), job.id)
