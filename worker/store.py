"""The jobs in Redis: records changed by compare-and-set, and all that belongs to a job goes with it.

Conventions: every method may raise one of `worker.connection.UNAVAILABLE`. A change reads the record,
applies one of `worker.transitions` and writes record, event, indexes and expiry in one transaction, which
Redis refuses if somebody else wrote the record in between; then it is tried again on what they wrote. A job
that has not ended yet is kept for `unfinished_ttl_s` at the longest; once ended, for `result_ttl_s`. A
tombstone outlives it, so that its id answers "gone" for a time.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ExecAbortError, OutOfMemoryError, WatchError

from worker import idempotency, jobs, keys, result_cache, transitions, watch
from worker.admission import Admission
from worker.artifacts import ArtifactStore, put_in
from worker.ends import end_in, leave_in
from worker.errors import WorkerLostError
from worker.figures import WAITING, Figures, observe_in
from worker.filters import ALL, JobFilter
from worker.idempotency import Mark
from worker.ids import is_job_id
from worker.jobs import Job, JobStatus, QueueName
from worker.listing import JobPage, Listing
from worker.problems import Problem, problem_of
from worker.progress import Progress
from worker.questions import ModelRef
from worker.reports import NOTHING, Along
from worker.room import require_room
from worker.sweeping import sweep
from worker.tombstones import Absence, Fate, absence, tombstone_text

log = logging.getLogger(__name__)

# A job about a recording reports a few hundred steps at the most, a large one goes on for hours; older events
# would only repeat what the record says.
MAX_EVENTS = {QueueName.INTERACTIVE: 1_000, QueueName.BATCH: 10_000}

# How often who admits jobs looks for those that have expired.
SWEEP_EVERY_S = 1.0


@dataclass(frozen=True)
class Lifetimes:
    """How long things are kept."""

    result_ttl_s: float
    tombstone_ttl_s: float
    unfinished_ttl_s: float


class JobStore:
    """The records of all jobs."""

    def __init__(self, redis: Redis, lifetimes: Lifetimes) -> None:
        self._redis = redis
        self._lifetimes = lifetimes
        self._admission = Admission(redis)
        self._artifacts = ArtifactStore(redis)
        self.figures = Figures(redis)
        self._listing = Listing(redis, self.sweep)
        self._swept_at = -SWEEP_EVERY_S

    def admit(self, job: Job, *uploads: bytes, max_queued: int, mark: Mark | None = None) -> None:
        """Stores a queued job, with the recordings that it is about, unless its queue is full.

        Under an idempotency key, `mark` is what the request has taken of it, and is the job's from now on.

        Raises
        ------
        QueueFullError
            When `max_queued` jobs wait already.
        PlaceTakenError
            When another job that has not ended writes to the same place; it names that job.
        IdempotencyInFlightError
            When another request has the mark.
        """
        self._sweep_sometimes()
        require_room(self._redis, sum(map(len, uploads)))
        lifetime_s = self._lifetimes.unfinished_ttl_s
        self._admission.admit(job, uploads, lifetime_s=lifetime_s, max_queued=max_queued, mark=mark)

    def repeat(self, job: Job, earlier: Job, *, mark: Mark | None = None) -> Job | None:
        """Stores a job that ends at once with what an earlier one has found out, and copies of its files.

        None when the earlier job has gone, or is no longer the latest to answer its question; raises like
        `admit` for the mark and for want of room.
        """
        require_room(self._redis, self._artifacts.total_bytes(earlier.id))
        repeated = self._dated(transitions.repeat(job, earlier, _now()))
        files = (keys.artifacts, keys.artifact_info)
        sources = (keys.record(earlier.id), *(key(earlier.id) for key in files))
        entry, mark_key = (
            keys.cached(earlier.owner, earlier.fingerprint),
            keys.idempotency(job.owner, job.mark),
        )
        with self._redis.pipeline(transaction=True) as pipe:
            while True:
                try:
                    pipe.watch(*sources, entry, mark_key)  # type: ignore[no-untyped-call]
                    if pipe.exists(keys.record(job.id)):
                        return repeated  # it was stored, and only the answer was lost
                    idempotency.require_taken(pipe, job.owner, mark)
                    if not pipe.exists(sources[0]) or not result_cache.is_latest(pipe, earlier):
                        return None
                    pipe.multi()
                    for key in files:
                        pipe.copy(key(earlier.id), key(job.id))
                    self._list(pipe, repeated)
                    self._write(pipe, repeated, repeated)
                    idempotency.keep(pipe, repeated)
                    pipe.execute()
                    return repeated
                except WatchError:
                    log.debug("what a job repeats changed in between", extra={"job": job.id})

    def get(self, job_id: str, audiences: Collection[str] | None = None) -> Job:
        """The job, if these audiences may see it; None may see all.

        Raises
        ------
        UnknownJobError, JobExpiredError, JobDeletedError
            When it is not there. What may not be seen is not there, and looking for it takes as long.
        """
        if not is_job_id(job_id):
            raise absence(job_id, None)
        if audiences is not None:
            self._listing.require_sight(job_id, audiences)
        record = self._redis.get(keys.record(job_id))
        if record is None:
            raise self._absence(job_id, audiences)
        return jobs.from_record(cast(bytes, record))

    def uploads(self, job_id: str) -> tuple[bytes, ...]:
        """The recordings of a job that has not ended."""
        found = cast(list[bytes], self._redis.lrange(keys.uploads(job_id), 0, -1))
        if not found:
            raise self._absence(job_id)
        return tuple(found)

    def queue_position(self, job: Job) -> int | None:
        """1 for the job that is next; None for one that does not wait."""
        if job.status is not JobStatus.QUEUED:
            return None
        rank = cast(int | None, self._redis.zrank(keys.queue(job.queue), job.id))
        return None if rank is None else rank + 1

    def queue_positions(self, found: Iterable[Job]) -> dict[str, int]:
        """The places of those of these jobs that wait, by their ids; asked for in one go."""
        waiting = [job for job in found if job.status is JobStatus.QUEUED]
        with self._redis.pipeline(transaction=False) as pipe:
            for job in waiting:
                pipe.zrank(keys.queue(job.queue), job.id)
            ranks = cast(list[int | None], pipe.execute())
        pairs = zip(waiting, ranks, strict=True)
        return {job.id: rank + 1 for job, rank in pairs if rank is not None}

    def queue_depth(self, queue: QueueName) -> int:
        """How many jobs wait."""
        return self._redis.zcard(keys.queue(queue))

    def page(
        self, limit: int, before: str | None = None, *, audiences: Collection[str], wanted: JobFilter = ALL
    ) -> JobPage:
        """Up to `limit` wanted jobs of these audiences that are older than `before`, newest first."""
        return self._listing.page(limit, before, audiences=audiences, wanted=wanted)

    def adopt(self) -> None:
        """Lists what a version of the program has admitted that kept other lists."""
        self._listing.adopt()

    def outcomes(self) -> dict[tuple[str, str], int]:
        """How many jobs have ended, by kind and status."""
        counts = cast(dict[bytes, bytes], self._redis.hgetall(keys.OUTCOMES))
        pairs = ((name.decode().partition(":"), int(count)) for name, count in counts.items())
        return {(kind, status): count for (kind, _, status), count in pairs}

    def begin(self, job_id: str, token: str, *, max_attempts: int) -> Job:
        """A new attempt takes the job, or ends it as failed when `max_attempts` have died on it.

        Raises
        ------
        IllegalTransitionError
            When the job has ended already.
        """

        def change(job: Job) -> Job:
            if job.status is JobStatus.RUNNING and job.attempts >= max_attempts:
                lost = WorkerLostError(f"The process that worked on this job died {job.attempts} times.")
                return transitions.abandon(job, problem_of(lost), _now())
            return transitions.begin(job, token, _now())

        return self._change(job_id, change)

    def advance(self, job_id: str, token: str, progress: Progress, along: Along = NOTHING) -> Job:
        """The attempt reports progress, or learns that the job is no longer its own (`AttemptLostError`)."""
        return self._change(job_id, lambda job: transitions.advance(job, token, progress), along)

    def use_model(self, job_id: str, token: str, model: ModelRef) -> Job:
        """The attempt reports the weights that it computes with."""
        return self._change(job_id, lambda job: transitions.use_model(job, token, model))

    def rest(self, job_id: str, token: str, along: Along = NOTHING) -> Job:
        """The attempt has done a piece of the work and leaves the next one to anybody."""
        return self._change(job_id, lambda job: transitions.rest(job, token), along)

    def try_again(self, job_id: str, token: str) -> Job:
        """The attempt goes on as the next one."""
        return self._change(job_id, lambda job: transitions.try_again(job, token))

    def give_back(self, job_id: str, token: str) -> Job:
        """The attempt leaves the job to another, and does not count."""
        return self._change(job_id, lambda job: transitions.give_back(job, token))

    def succeed(self, job_id: str, token: str, result: dict[str, object], along: Along = NOTHING) -> Job:
        """The attempt ends the job with a result."""
        return self._change(job_id, lambda job: transitions.succeed(job, token, result, _now()), along)

    def stop_early(self, job_id: str, token: str, result: dict[str, object], along: Along = NOTHING) -> Job:
        """The attempt ends a job that was asked to stop, with what there is."""
        return self._change(job_id, lambda job: transitions.stop_early(job, token, result, _now()), along)

    def fail(self, job_id: str, token: str, problem: Problem, along: Along = NOTHING) -> Job:
        """The attempt ends the job with a problem."""
        return self._change(job_id, lambda job: transitions.fail(job, token, problem, _now()), along)

    def abandon(self, job_id: str, problem: Problem) -> Job:
        """Ends a job as failed on behalf of attempts that can no longer speak."""
        return self._change(job_id, lambda job: transitions.abandon(job, problem, _now()))

    def cancel(self, job_id: str) -> Job:
        """Ends a job that is no longer wanted; a running attempt notices at its next step.

        A job with something worth keeping goes on for as long as it takes to make that whole (`stopping`),
        unless it is asked a second time.
        """

        def change(job: Job) -> Job:
            return transitions.ask_to_stop(job) if job.can_stop_early else transitions.cancel(job, _now())

        return self._change(job_id, change)

    def delete(self, job_id: str) -> None:
        """Removes an ended job and everything of it at once; its id answers "gone" from now on."""
        job = self.get(job_id)

        def bury(pipe: Pipeline) -> None:
            self._forget(pipe, job)
            text = tombstone_text(Fate.DELETED, job.audience)
            pipe.set(keys.tombstone(job_id), text, px=round(self._lifetimes.tombstone_ttl_s * 1000))

        self._remove(bury)

    def withdraw(self, job: Job) -> None:
        """Removes a job that could not be handed to the workers, as if it had never been."""

        def undo(pipe: Pipeline) -> None:
            self._forget(pipe, job)
            leave_in(pipe, job)
            pipe.zrem(keys.queue(job.queue), job.id)

        self._remove(undo)

    def _remove(self, change: Callable[[Pipeline], None]) -> None:
        """Removes something as a whole; from a full store, which refuses transactions, step by step."""
        for is_whole in (True, False):
            with self._redis.pipeline(transaction=is_whole) as pipe:
                change(pipe)
                try:
                    pipe.execute(raise_on_error=is_whole)
                    return
                except (OutOfMemoryError, ExecAbortError):
                    log.warning("the store is full")

    def sweep(self) -> None:
        """Takes expired jobs out of the indexes."""
        sweep(self._redis)

    def _sweep_sometimes(self) -> None:
        """The same for those whom expired jobs do not bother: more of them go each time than are admitted."""
        now = time.monotonic()
        if now - self._swept_at >= SWEEP_EVERY_S:
            self._swept_at = now
            self.sweep()

    def _change(self, job_id: str, transition: Callable[[Job], Job], along: Along = NOTHING) -> Job:
        key = keys.record(job_id)
        after: Job | None = None
        with self._redis.pipeline(transaction=True) as pipe:
            while True:
                try:
                    pipe.watch(key)  # type: ignore[no-untyped-call]
                    record = cast(bytes | None, pipe.get(key))
                    if record is None:
                        raise self._absence(job_id)
                    if after is not None and record == jobs.to_record(after):
                        return after  # it was made, and only the answer was lost
                    before = jobs.from_record(record)
                    after = self._dated(jobs.changed(before, transition(_as_told(before, along))))
                    pipe.multi()
                    self._write_along(pipe, before, along)
                    self._write(pipe, before, after)
                    pipe.execute()
                    return after
                except WatchError:
                    log.debug("record of job changed in between", extra={"job": job_id})

    def _dated(self, job: Job) -> Job:
        if job.finished_at is None:
            return job
        return replace(job, expires_at=job.finished_at + timedelta(seconds=self._lifetimes.result_ttl_s))

    def _write_along(self, pipe: Pipeline, job: Job, along: Along) -> None:
        put_in(pipe, job.id, along.files)
        for progress in along.told:
            _add_event(pipe, replace(job, progress=progress))
        for each in along.stages:
            observe_in(pipe, "job_stage_seconds", each.seconds, kind=job.kind, stage=each.stage)

    def _write(self, pipe: Pipeline, before: Job, after: Job) -> None:
        pipe.set(keys.record(after.id), jobs.to_record(after), keepttl=True)
        _add_event(pipe, after)
        watch.tell_in(pipe, after)
        if before.status is JobStatus.QUEUED and after.status is not JobStatus.QUEUED:
            pipe.zrem(keys.queue(after.queue), after.id)
            waited_s = (_now() - after.created_at).total_seconds()
            observe_in(pipe, "job_stage_seconds", waited_s, kind=after.kind, stage=WAITING)
        if after.expires_at is None:
            return
        end_in(pipe, after, after.expires_at, tombstone_ttl_s=self._lifetimes.tombstone_ttl_s)

    def _list(self, pipe: Pipeline, job: Job) -> None:
        for index in (keys.JOBS, keys.jobs_of(job.audience)):
            pipe.zadd(index, {job.id: 0})
        pipe.hset(keys.AUDIENCES, job.id, job.audience)

    def _forget(self, pipe: Pipeline, job: Job) -> None:
        pipe.delete(*keys.parts(job.id))
        idempotency.free(pipe, job)
        result_cache.leave(pipe, job)
        for index in (keys.JOBS, keys.EXPIRIES, keys.WEBHOOKS, keys.jobs_of(job.audience)):
            pipe.zrem(index, job.id)
        pipe.hdel(keys.AUDIENCES, job.id)

    def _absence(self, job_id: str, audiences: Collection[str] | None = None) -> Absence:
        return absence(job_id, cast(bytes | None, self._redis.get(keys.tombstone(job_id))), audiences)


def _as_told(job: Job, along: Along) -> Job:
    """The job as the last of what was told before the change says that it is."""
    if not along.told:
        return job
    last = along.told[-1]
    return replace(job, progress=replace(last, metrics=last.metrics or job.progress.metrics))


def _add_event(pipe: Pipeline, job: Job) -> None:
    most = MAX_EVENTS[job.queue]
    pipe.xadd(keys.events(job.id), {"event": jobs.to_event(job)}, maxlen=most, approximate=True)


def _now() -> datetime:
    return datetime.now(UTC)
