"""Errors of jobs and of the service around them, none of which is the recording's fault.

Conventions as in `ml.errors`: one sentence with the offending value, a stable `code`, members in `extra`.
No HTTP here: `worker.problems` maps them.
"""

from typing import ClassVar

from ml.errors import ConflictError, TimbrescopeError


class UnknownJobError(TimbrescopeError):
    """There is no job of this id, and there was none lately."""

    code: ClassVar[str] = "unknown-job"


class JobExpiredError(TimbrescopeError):
    """The job was there; its time to live is over."""

    code: ClassVar[str] = "job-expired"


class JobDeletedError(TimbrescopeError):
    """The job was there; somebody deleted it."""

    code: ClassVar[str] = "job-deleted"


class UnknownArtifactError(TimbrescopeError):
    """The job has no artefact of this name."""

    code: ClassVar[str] = "unknown-artifact"


class QueueFullError(TimbrescopeError):
    """As many jobs wait already as may wait."""

    code: ClassVar[str] = "queue-full"


class ReferencesWaitError(QueueFullError):
    """As many references of concepts wait to be rendered as may wait."""


class PlaceTakenError(ConflictError):
    """A job that has not ended writes to the same place; `extra` holds its id as `job`."""

    code: ClassVar[str] = "place-taken"


class IdempotencyKeyReusedError(TimbrescopeError):
    """The request's Idempotency-Key came with another request before."""

    code: ClassVar[str] = "idempotency-key-reused"


class IdempotencyInFlightError(ConflictError):
    """The first request with this Idempotency-Key is being decided at this moment."""

    code: ClassVar[str] = "idempotency-in-flight"


class ModelExistsError(ConflictError):
    """There is a model of this id already."""

    code: ClassVar[str] = "model-exists"


class JobUnfinishedError(ConflictError):
    """Something was asked of a job that it can only give once it has succeeded."""

    code: ClassVar[str] = "job-unfinished"


class ModelGoneError(TimbrescopeError):
    """The model that a job was accepted with was replaced or removed before it ran."""

    code: ClassVar[str] = "model-gone"


class ModelNotFoundError(TimbrescopeError):
    """A path names a model that there is not; `extra` holds `unknown` and `available`."""

    code: ClassVar[str] = "model-not-found"


class StillRenderingError(TimbrescopeError):
    """What was asked for is being made, and takes longer than one may wait for it."""

    code: ClassVar[str] = "still-rendering"


class UnauthorizedError(TimbrescopeError):
    """The request needs an API key and came without one, or came with one that opens nothing."""

    code: ClassVar[str] = "unauthorized"


class ForbiddenError(TimbrescopeError):
    """The request came with a good API key, which may not do this."""

    code: ClassVar[str] = "forbidden"


class RateLimitedError(TimbrescopeError):
    """The API key has asked for more jobs than it may; `extra` holds `retry_after_s`."""

    code: ClassVar[str] = "rate-limited"


class UnsupportedBodyError(TimbrescopeError):
    """A body of a type that the call does not take."""

    code: ClassVar[str] = "unsupported-body"


class BodyTooLargeError(TimbrescopeError):
    """A body larger than the call takes."""

    code: ClassVar[str] = "body-too-large"


class NoWorkerError(TimbrescopeError):
    """No worker has ever announced a model, so nothing can be promised."""

    code: ClassVar[str] = "no-worker"


class StoreUnavailableError(TimbrescopeError):
    """Redis does not answer or cannot take more."""

    code: ClassVar[str] = "store-unavailable"


class NewerRecordError(StoreUnavailableError):
    """A newer version of the program has written the record; this one would lose what it does not know."""


class TimeLimitError(TimbrescopeError):
    """An attempt took longer than any may take."""

    code: ClassVar[str] = "time-limit"


class WorkerLostError(TimbrescopeError):
    """Every attempt at the job ended with the death of its process."""

    code: ClassVar[str] = "worker-lost"


class InternalError(TimbrescopeError):
    """A fault of this program; the log knows more than the client is told."""

    code: ClassVar[str] = "internal-error"


class IllegalTransitionError(Exception):
    """A job was to go from one status to another that cannot follow it: a fault of the caller."""


class AttemptLostError(Exception):
    """The attempt no longer owns its job: it was cancelled, deleted, ended or taken over. Not an error to
    report.
    """


class AttemptGivenBackError(Exception):
    """The attempt cannot be made here at the moment, for which the job cannot help: it does not count, and
    another is to be made.
    """
