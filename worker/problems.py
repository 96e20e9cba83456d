"""Problem documents (RFC 9457), and the one place where errors are given an HTTP status.

Conventions: `type` is `/problems/<code>`, stable for each kind of error; `title` is the same for every
error of a type; `detail` is about this one. The members of `extra` stand beside them in the document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from ml.errors import (
    ConflictError,
    InvalidRequestError,
    MissingAtlasError,
    RangeRequiredError,
    StorageError,
    StorageUnavailableError,
    SystemDependencyError,
    TimbrescopeError,
    UnknownConceptError,
    UnknownInstrumentError,
    UnknownLayerError,
    UnknownMethodError,
    UnknownModelError,
)
from ml.media import InvalidMediaError, MediaError, MediaTooLargeError, UnsupportedMediaError
from ml.sandbox import DecoderBusyError, DecoderDiedError, SandboxError, SandboxUnavailableError
from worker import errors, request_errors

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """What went wrong, for a person and for a machine."""

    type: str
    title: str
    status: int
    detail: str
    extra: Mapping[str, object] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """The members as they stand in the JSON document."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


# The most specific class of an error decides; a subclass not named here has its parent's status and title.
_MEANING: dict[type[TimbrescopeError], tuple[HTTPStatus, str]] = {
    TimbrescopeError: (HTTPStatus.INTERNAL_SERVER_ERROR, "The request failed"),
    InvalidRequestError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request makes no sense"),
    UnknownInstrumentError: (HTTPStatus.UNPROCESSABLE_ENTITY, "Unknown instrument"),
    UnknownModelError: (HTTPStatus.UNPROCESSABLE_ENTITY, "Unknown model"),
    UnknownMethodError: (HTTPStatus.UNPROCESSABLE_ENTITY, "Unknown method"),
    UnknownLayerError: (HTTPStatus.UNPROCESSABLE_ENTITY, "Unknown layer"),
    MissingAtlasError: (HTTPStatus.NOT_FOUND, "No atlas of concepts"),
    UnknownConceptError: (HTTPStatus.NOT_FOUND, "Unknown concept"),
    errors.ModelNotFoundError: (HTTPStatus.NOT_FOUND, "Model not found"),
    RangeRequiredError: (HTTPStatus.UNPROCESSABLE_ENTITY, "A long recording needs a range"),
    ConflictError: (HTTPStatus.CONFLICT, "Something else is there already"),
    StorageError: (HTTPStatus.INSUFFICIENT_STORAGE, "Nothing can be stored"),
    StorageUnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, "What is stored cannot be read"),
    SystemDependencyError: (HTTPStatus.SERVICE_UNAVAILABLE, "The worker's machine lacks something"),
    MediaError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The recording cannot be used"),
    UnsupportedMediaError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not a supported kind of recording"),
    MediaTooLargeError: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The recording is too large"),
    InvalidMediaError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The recording is broken"),
    SandboxError: (HTTPStatus.SERVICE_UNAVAILABLE, "No recording can be read just now"),
    DecoderDiedError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The recording broke its decoder"),
    errors.UnknownJobError: (HTTPStatus.NOT_FOUND, "Unknown job"),
    errors.JobExpiredError: (HTTPStatus.GONE, "The job has expired"),
    errors.JobDeletedError: (HTTPStatus.GONE, "The job was deleted"),
    errors.UnknownArtifactError: (HTTPStatus.NOT_FOUND, "Unknown artefact"),
    errors.PlaceTakenError: (HTTPStatus.CONFLICT, "A job is at work there"),
    errors.IdempotencyKeyReusedError: (HTTPStatus.UNPROCESSABLE_ENTITY, "Idempotency-Key was used before"),
    errors.IdempotencyInFlightError: (HTTPStatus.CONFLICT, "The same request is in flight"),
    errors.JobUnfinishedError: (HTTPStatus.CONFLICT, "The job has not succeeded"),
    errors.ModelGoneError: (HTTPStatus.GONE, "The model is gone"),
    errors.UnauthorizedError: (HTTPStatus.UNAUTHORIZED, "A valid API key is needed"),
    errors.ForbiddenError: (HTTPStatus.FORBIDDEN, "The API key may not do this"),
    errors.RateLimitedError: (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    errors.UnsupportedBodyError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not a supported kind of body"),
    errors.BodyTooLargeError: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    request_errors.BadRequestError: (HTTPStatus.BAD_REQUEST, "Not a request that can be read"),
    request_errors.HeadTooLargeError: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The headers are too large",
    ),
    request_errors.AddressTooLongError: (HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long"),
    request_errors.HeadTimedOutError: (HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive"),
    request_errors.UploadTimedOutError: (HTTPStatus.REQUEST_TIMEOUT, "The upload took too long"),
    request_errors.MisdirectedError: (HTTPStatus.MISDIRECTED_REQUEST, "Addressed to another host"),
    request_errors.ForeignOriginError: (HTTPStatus.FORBIDDEN, "Sent by a page of another origin"),
    request_errors.TooManyUploadsError: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many uploads at once"),
    request_errors.TooManyConnectionsError: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections"),
    request_errors.TooManyStreamsError: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many event streams"),
    request_errors.TooManyOwnStreamsError: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many event streams of one key",
    ),
    request_errors.RangeNotSatisfiableError: (
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        "The file has no such part",
    ),
    errors.QueueFullError: (HTTPStatus.SERVICE_UNAVAILABLE, "The queue is full"),
    errors.StillRenderingError: (HTTPStatus.SERVICE_UNAVAILABLE, "Still being rendered"),
    errors.NoWorkerError: (HTTPStatus.SERVICE_UNAVAILABLE, "No worker"),
    errors.StoreUnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, "The store is not available"),
    errors.TimeLimitError: (HTTPStatus.INTERNAL_SERVER_ERROR, "The job took too long"),
    errors.WorkerLostError: (HTTPStatus.INTERNAL_SERVER_ERROR, "The job's process died"),
    errors.InternalError: (HTTPStatus.INTERNAL_SERVER_ERROR, "A fault in the service"),
}

# Seconds after which a client may try again, for the answers that say "not now".
RETRY_AFTER_S: dict[type[TimbrescopeError], int] = {
    errors.QueueFullError: 10,
    errors.ReferencesWaitError: 2,
    errors.NoWorkerError: 5,
    errors.StillRenderingError: 2,
    errors.StoreUnavailableError: 5,
    request_errors.TooManyUploadsError: 2,
    request_errors.TooManyConnectionsError: 2,
    request_errors.TooManyStreamsError: 5,
    request_errors.TooManyOwnStreamsError: 5,
    errors.IdempotencyInFlightError: 1,
    DecoderBusyError: 2,
    SandboxUnavailableError: 2,
}


def problem_of(error: TimbrescopeError) -> Problem:
    """The problem document of an error."""
    status, title = next(_MEANING[cls] for cls in type(error).__mro__ if cls in _MEANING)
    return Problem(
        type=problem_type(error.code),
        title=title,
        status=int(status),
        detail=str(error),
        extra=error.extra,
    )


def problem_type(code: str) -> str:
    """The stable `type` of a problem from its slug."""
    return f"/problems/{code}"


def retry_after_s(error: TimbrescopeError) -> int | None:
    """After how long trying again makes sense; None where it makes none."""
    if "retry_after_s" in error.extra:
        return int(str(error.extra["retry_after_s"]))
    return next((RETRY_AFTER_S[cls] for cls in type(error).__mro__ if cls in RETRY_AFTER_S), None)
