"""Errors of requests as such: whom they are addressed to, where they come from, how they arrive.

Conventions as in `worker.errors`: the HTTP status of each stands in `worker.problems`.
"""

from typing import ClassVar

from ml.errors import TimbrescopeError


class BadRequestError(TimbrescopeError):
    """What arrived is no request that HTTP allows, or broke off before its end."""

    code: ClassVar[str] = "bad-request"


class HeadTooLargeError(TimbrescopeError):
    """The request's line and headers are larger than any request needs."""

    code: ClassVar[str] = "head-too-large"


class AddressTooLongError(TimbrescopeError):
    """The path and query of the request are longer than any that this service has."""

    code: ClassVar[str] = "address-too-long"


class HeadTimedOutError(TimbrescopeError):
    """The request's line and headers took too long to arrive."""

    code: ClassVar[str] = "head-timed-out"


class UploadTimedOutError(TimbrescopeError):
    """The request's body stopped arriving, or took too long in all."""

    code: ClassVar[str] = "upload-timed-out"


class MisdirectedError(TimbrescopeError):
    """The `Host` that the request is addressed to is not one of this service's."""

    code: ClassVar[str] = "misdirected"


class ForeignOriginError(TimbrescopeError):
    """A web page of another origin, which is not among those allowed, sent the request."""

    code: ClassVar[str] = "foreign-origin"


class TooManyUploadsError(TimbrescopeError):
    """As many uploads are being read as may be."""

    code: ClassVar[str] = "too-many-uploads"


class TooManyConnectionsError(TimbrescopeError):
    """As many connections are open as may be."""

    code: ClassVar[str] = "too-many-connections"


class TooManyStreamsError(TimbrescopeError):
    """As many streams of jobs' events are open as may be."""

    code: ClassVar[str] = "too-many-streams"


class TooManyOwnStreamsError(TimbrescopeError):
    """As many streams of jobs' events are open as one API key may have."""

    code: ClassVar[str] = "too-many-own-streams"


class RangeNotSatisfiableError(TimbrescopeError):
    """The part of a file that was asked for lies beyond its end."""

    code: ClassVar[str] = "range-not-satisfiable"
