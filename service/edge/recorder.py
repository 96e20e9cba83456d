"""Around every request: an id, a log line, a count and a trace.

Conventions: pure ASGI, so that streams pass through untouched. A client's `X-Request-ID` is taken where it is
plain, else one is made; it is answered, stands on every line that is logged meanwhile, and jobs keep it.
Nothing of a request's content is logged: no path but its route's template and the job, and no query string.
"""

import logging
import re
import secrets
import time

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics
from worker import tracing
from worker.ids import is_job_id
from worker.logs import bound

log = logging.getLogger(__name__)

UNMATCHED = "unmatched"
STATIC = "/static"
# Asked every few seconds by machines: not worth a line or a trace each.
HEALTH, METRICS = "/health", "/metrics"

# The client went away before anything was answered; by this number proxies know it too.
NOT_ANSWERED = 499

# The methods of HTTP (RFC 9110, RFC 5789). A client may send any word as one, as often as it likes: all
# others are one in logs, figures and traces.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
OTHER_METHOD = "_OTHER"

_HEADER = "X-Request-ID"
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_JOB_PATH = re.compile(r"/jobs/([^/]+)")


def request_id(request: Request) -> str:
    """What the request is called in the log and by the job that it makes."""
    found: str = request.state.request_id
    return found


class RequestRecorder:
    """Names, logs, counts and traces requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and looks at the answer's head."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _name_of(Headers(scope=scope).get(_HEADER))
        scope.setdefault("state", {})["request_id"] = name
        with bound(request=name, job=_job_of(scope["path"])), self._metrics.in_flight():
            if scope["path"].startswith((HEALTH, METRICS)):
                await self._record(scope, receive, send)
                return
            parent = Headers(scope=scope).get("traceparent", "")
            with tracing.span(_method_of(scope), "server", parent=parent) as span:
                status = await self._record(scope, receive, send)
                route = _route_of(scope)
                span.rename(f"{_method_of(scope)} {route}")
                span.tell(
                    {
                        "http.request.method": _method_of(scope),
                        "http.route": route,
                        "http.response.status_code": status,
                        "timbrescope.request.id": name,
                    }
                )
                if status >= 500:
                    span.blame(str(status))

    async def _record(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Logs and counts the request; returns the answer's status."""
        started, status, job = time.monotonic(), NOT_ANSWERED, ""

        async def send_named(message: Message) -> None:
            nonlocal status, job
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[_HEADER] = scope["state"]["request_id"]
                job = _job_of(headers.get("location", ""))
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception:
            status = 500
            raise
        finally:
            elapsed_s = time.monotonic() - started
            route = _route_of(scope)
            self._metrics.request_answered(_method_of(scope), route, status, elapsed_s)
            with bound(job=job):
                log.log(
                    logging.DEBUG if route.startswith(HEALTH) else logging.INFO,
                    "answered",
                    extra={
                        "method": _method_of(scope),
                        "route": route,
                        "status": status,
                        "elapsed_s": round(elapsed_s, 4),
                    },
                )
        return status


def _name_of(sent: str | None) -> str:
    return sent if sent is not None and _PLAIN.fullmatch(sent) else secrets.token_hex(8)


def _method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else OTHER_METHOD


def _job_of(path: str) -> str:
    """The job that a path is about; empty for other paths."""
    found = _JOB_PATH.match(path)
    return found.group(1) if found is not None and is_job_id(found.group(1)) else ""


def _route_of(scope: Scope) -> str:
    """The template of the route that took the request, never its path."""
    if isinstance(scope.get("endpoint"), StaticFiles):
        return STATIC
    return getattr(scope.get("route"), "path", UNMATCHED)
