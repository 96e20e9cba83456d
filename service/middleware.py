"""Around every request: an id, a log line, a count, and headers that every answer has.

Conventions: pure ASGI, so that streams pass through untouched. Nothing of a request's content is logged.
"""

import logging
import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics

log = logging.getLogger(__name__)

UNMATCHED = "unmatched"
STATIC = "/static"
HEALTH = "/health"  # asked every few seconds by machines: not worth a line each


class RequestRecorder:
    """Logs and counts requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and looks at the answer's head."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        started = time.monotonic()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            elapsed_s = time.monotonic() - started
            route = _route_of(scope)
            self._metrics.request_answered(scope["method"], route, status, elapsed_s)
            log.log(
                logging.DEBUG if route.startswith(HEALTH) else logging.INFO,
                "answered",
                extra={
                    "request": request_id,
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "elapsed_s": round(elapsed_s, 4),
                },
            )


def _route_of(scope: Scope) -> str:
    """The template of the route that took the request, never its path."""
    if isinstance(scope.get("endpoint"), StaticFiles):
        return STATIC
    return getattr(scope.get("route"), "path", UNMATCHED)
