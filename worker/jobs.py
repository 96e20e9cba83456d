"""The job record and its legal transitions: pure values and functions, no Redis.

Conventions: a `Job` is frozen; each transition returns a new one or raises. Times are aware UTC datetimes.
An attempt at a job is known by its token: only the attempt whose token the record holds may move a running
job on, so that of two workers with the same message one is heard. `record_version` names the shape of the
stored JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from pydantic import TypeAdapter

from worker.errors import AttemptLostError, IllegalTransitionError
from worker.problems import Problem

RECORD_VERSION = 1

# What `ml.explanation` accepts; repeated here, and compared by a test, because the API must not import it.
LONGEST_EXPLAINED_S = 60.0
MAX_CONCEPTS = 64
DEFAULT_CONCEPTS = 5


class JobKind(StrEnum):
    """What a job does."""

    CLASSIFY = "classify"
    EXPLAIN = "explain"


class QueueName(StrEnum):
    """The queues: what people wait for, and what nobody waits for."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class JobStatus(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job never changes again."""
        return not _FOLLOWERS[self]


_FOLLOWERS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLED}),
    # Running follows running when a new attempt takes over from one whose process died.
    JobStatus.RUNNING: frozenset(
        {JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

QUEUE_OF: Mapping[JobKind, QueueName] = {
    JobKind.CLASSIFY: QueueName.INTERACTIVE,
    JobKind.EXPLAIN: QueueName.INTERACTIVE,
}


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` steps of the stage."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class JobInput:
    """The recording a job is about, as its headers describe it; rate and channels are None for MIDI."""

    filename: str
    sha256: str
    format: str
    duration_s: float
    sample_rate_hz: int | None
    channels: int | None


@dataclass(frozen=True)
class ModelRef:
    """A model, and the hash of its weights."""

    id: str
    sha256: str


@dataclass(frozen=True)
class Parameters:
    """What the request asked for besides the recording."""

    threshold: float | None = None
    instruments: tuple[str, ...] | None = None
    n_concepts: int = DEFAULT_CONCEPTS
    start_s: float | None = None
    duration_s: float | None = None
    engine: str | None = None


@dataclass(frozen=True)
class Job:
    """One request's record, from its acceptance to its expiry."""

    id: str
    kind: JobKind
    input: JobInput
    model: ModelRef
    parameters: Parameters
    created_at: datetime
    status: JobStatus = JobStatus.QUEUED
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    progress: Progress = Progress("queued", 0, 0)
    attempts: int = 0
    attempt_token: str | None = None
    result: dict[str, object] | None = None
    error: Problem | None = None
    record_version: int = RECORD_VERSION

    @property
    def queue(self) -> QueueName:
        """The queue that the job goes through."""
        return QUEUE_OF[self.kind]

    @property
    def path(self) -> str:
        """Where the job is found over HTTP."""
        return f"/jobs/{self.id}"


_RECORDS = TypeAdapter(Job)


def to_record(job: Job) -> bytes:
    """The JSON that is stored."""
    return _RECORDS.dump_json(job)


def from_record(record: bytes) -> Job:
    """The job of a stored JSON record."""
    return _RECORDS.validate_json(record)


def artifact_path(job_id: str, name: str) -> str:
    """Where an artefact of a job is found over HTTP."""
    return f"/jobs/{job_id}/artifacts/{quote(name, safe='')}"


def begin(job: Job, token: str, now: datetime) -> Job:
    """A new attempt takes the job; an older attempt, if there is one, loses it."""
    _check(job, JobStatus.RUNNING)
    return replace(
        job,
        status=JobStatus.RUNNING,
        started_at=now,
        attempts=job.attempts + 1,
        attempt_token=token,
        progress=Progress("starting", 0, 0),
    )


def advance(job: Job, token: str, progress: Progress) -> Job:
    """The attempt says how far it is."""
    _check_owner(job, token)
    return replace(job, progress=progress)


def use_model(job: Job, token: str, model: ModelRef) -> Job:
    """The attempt says which weights it computes with, should they differ from those announced."""
    _check_owner(job, token)
    return replace(job, model=model)


def succeed(job: Job, token: str, result: dict[str, object], now: datetime) -> Job:
    """The attempt ends the job with a result."""
    _check_owner(job, token)
    last = job.progress
    return replace(
        job,
        status=JobStatus.SUCCEEDED,
        result=result,
        finished_at=now,
        attempt_token=None,
        progress=Progress(last.stage, last.total, last.total),
    )


def fail(job: Job, token: str, problem: Problem, now: datetime) -> Job:
    """The attempt ends the job with a problem."""
    _check_owner(job, token)
    return abandon(job, problem, now)


def abandon(job: Job, problem: Problem, now: datetime) -> Job:
    """The job ends with a problem although no attempt lives to say so."""
    _check(job, JobStatus.FAILED)
    return replace(job, status=JobStatus.FAILED, error=problem, finished_at=now, attempt_token=None)


def cancel(job: Job, now: datetime) -> Job:
    """Somebody no longer wants the job."""
    _check(job, JobStatus.CANCELLED)
    return replace(job, status=JobStatus.CANCELLED, finished_at=now, attempt_token=None)


def _check(job: Job, following: JobStatus) -> None:
    if following not in _FOLLOWERS[job.status]:
        raise IllegalTransitionError(f"Job {job.id} is {job.status} and cannot become {following}.")


def _check_owner(job: Job, token: str) -> None:
    if job.status is not JobStatus.RUNNING or job.attempt_token != token:
        raise AttemptLostError(f"Job {job.id} is {job.status} and no longer belongs to attempt {token}.")
