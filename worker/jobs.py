"""The job record as a pure value, no Redis; how it may change is for `worker.transitions`.

Conventions: a `Job` is frozen. Times are aware UTC datetimes. `record_version` names the shape of the stored
JSON: an older record becomes one of this version when it is changed, a newer one can be read but not changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from worker.errors import NewerRecordError
from worker.orders import DatasetOrder, TrainingOrder
from worker.problems import Problem
from worker.progress import Progress
from worker.questions import PLAIN, JobInput, ModelRef, Parameters, StemInput

RECORD_VERSION = 3


class JobKind(StrEnum):
    """What a job does."""

    CLASSIFY = "classify"
    EXPLAIN = "explain"
    CHECK = "check"
    DATASET = "dataset"
    TRAINING = "training"


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
        return not FOLLOWERS[self]


FOLLOWERS: Mapping[JobStatus, frozenset[JobStatus]] = {
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
    JobKind.CHECK: QueueName.INTERACTIVE,
    JobKind.DATASET: QueueName.BATCH,
    JobKind.TRAINING: QueueName.BATCH,
}

# The kinds of jobs that only an operator may start, see and stop.
ADMIN_KINDS = frozenset({JobKind.DATASET, JobKind.TRAINING})

# Who may see a job: whoever has an admin key, whoever asks, or (`audience_of`) only the key that made it.
OPERATORS = "operators"
ANYONE = "anyone"


QUEUED = Progress("queued", 0, 0)


def audience_of(owner: str) -> str:
    """Who may see what this API key has asked for; anyone, where it was asked for without a key."""
    return f"key:{owner}" if owner else ANYONE


@dataclass(frozen=True)
class Job:
    """One request's record, from its acceptance to its expiry.

    `input` is there for jobs about a recording, `stems` for those about a mix of several, `model` for either;
    `order` for those that make something. `owner` is the id of the API key that asked, empty without one;
    `request_id` and `trace` (a W3C traceparent) name the request that did. `callback` is the URL that wants
    to hear of the end. `fingerprint` is the same for the same question about the same sound; a job that is
    `cached` was answered with an earlier one's result, which was a copy itself unless the `generation` is 1.
    `mark` names the client's key (`worker.idempotency`) that it was made under, if any.
    """

    id: str
    kind: JobKind
    created_at: datetime
    input: JobInput | None = None
    stems: tuple[StemInput, ...] = ()
    model: ModelRef | None = None
    parameters: Parameters = PLAIN
    order: DatasetOrder | TrainingOrder | None = None
    status: JobStatus = JobStatus.QUEUED
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    progress: Progress = QUEUED
    attempts: int = 0
    attempt_token: str | None = None
    stopping: bool = False
    result: dict[str, object] | None = None
    error: Problem | None = None
    owner: str = ""
    request_id: str = ""
    trace: str = ""
    callback: str | None = None
    fingerprint: str = ""
    cached: bool = False
    generation: int = 0
    mark: str = ""
    record_version: int = RECORD_VERSION

    @property
    def queue(self) -> QueueName:
        """The queue that the job goes through."""
        return QUEUE_OF[self.kind]

    @property
    def audience(self) -> str:
        """Who may see the job."""
        return OPERATORS if self.kind in ADMIN_KINDS else audience_of(self.owner)

    @property
    def can_stop_early(self) -> bool:
        """Whether stopping now leaves something worth keeping: a training with a finished epoch."""
        return self.kind is JobKind.TRAINING and self.progress.metrics is not None and not self.stopping

    @property
    def path(self) -> str:
        """Where the job is found over HTTP."""
        return f"/jobs/{self.id}"


_RECORDS = TypeAdapter(Job)


def to_record(job: Job) -> bytes:
    """The JSON that is stored."""
    return _RECORDS.dump_json(job)


def from_record(record: bytes) -> Job:
    """The job of a stored JSON record; raises `ValueError` for what is none, without quoting it."""
    try:
        return _RECORDS.validate_json(record)
    except ValidationError as error:
        # Its own message quotes the record, and ends in the log.
        found = error.errors(include_input=False, include_url=False, include_context=False)
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'all'}: {fault['type']}" for fault in found)
    raise ValueError(f"The record of a job cannot be read: {faults}.")


def changed(before: Job, after: Job) -> Job:
    """The changed job as a record of this version; raises `NewerRecordError` for one of a newer version."""
    if before.record_version > RECORD_VERSION:
        raise NewerRecordError(
            f"The record of job {before.id} is of version {before.record_version}, newer than this program; "
            f"programs that know more than version {RECORD_VERSION} go on with it."
        )
    return replace(after, record_version=RECORD_VERSION)


def to_event(job: Job) -> str:
    """A change of status or progress as it stands in the job's stream."""
    return json.dumps({"id": job.id, "status": job.status, "progress": job.progress.document()})


def artifact_path(job_id: str, name: str) -> str:
    """Where an artefact of a job is found over HTTP."""
    return f"/jobs/{job_id}/artifacts/{quote(name, safe='')}"
