"""Cross-origin requests: what web pages of the origins that are allowed may send and read.

Conventions: keys travel in a header of the request's own, so credentials (cookies) are not allowed.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from service.errors import error_response
from worker.request_errors import ForeignOriginError

METHODS = ("GET", "HEAD", "POST", "DELETE")
SENT = (
    "Authorization",
    "Cache-Control",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Prefer",
    "Range",
    "X-Request-ID",
)
READ = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)


class Cors(CORSMiddleware):
    """The framework's, whose refusals are problem documents here."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=SENT, expose_headers=READ
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Whether a request of that kind may follow."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        asked = (request_headers.get(f"access-control-request-{what}", "") for what in ("method", "headers"))
        shown = " with ".join(filter(None, asked))
        refusal = error_response(
            ForeignOriginError(
                f"A web page of {request_headers['origin'][:100]!r} may not send {shown[:100]} here."
            )
        )
        refusal.headers["Vary"] = answer.headers["Vary"]
        return refusal
