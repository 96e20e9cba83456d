"""Whatever goes wrong becomes an RFC 9457 problem document, and nothing else.

Conventions: `worker.problems` decides what an error means; this module turns errors, and what the framework
raises itself (no such route, a form that does not fit), into answers. A client is never shown a traceback
or a library's message about our own code.
"""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match, Mount

from ml.errors import InvalidRequestError, TimbrescopeError
from worker.connection import UNAVAILABLE, unavailable
from worker.errors import ForbiddenError, InternalError, UnauthorizedError
from worker.problems import MEDIA_TYPE, Problem, problem_of, problem_type, retry_after_s
from worker.request_errors import BadRequestError, HeadTooLargeError, UploadTimedOutError

log = logging.getLogger(__name__)

_LONGEST_ECHO = 60
_LONGEST_PATH = 200
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_OF_FILES = "GET, HEAD"


# After these nothing that the client sends on the connection can be trusted to be a request.
_ENDING = (BadRequestError, HeadTooLargeError, UploadTimedOutError)


class RefusedWhileReading(HTTPException):
    """Carries an error out of the reading of a body.

    It has to be of this type, because the framework turns everything else that is raised while it reads a
    form into "400".
    """

    def __init__(self, reason: TimbrescopeError) -> None:
        super().__init__(problem_of(reason).status)
        self.reason = reason


class ProblemResponse(JSONResponse):
    """An answer whose body is a problem document."""

    media_type = MEDIA_TYPE


def problem_response(
    problem: Problem, *, instance: str | None = None, headers: dict[str, str] | None = None
) -> ProblemResponse:
    """The answer for a problem; `instance` is the path of what it is about."""
    document = problem.document()
    if instance is not None:
        document["instance"] = instance
    return ProblemResponse(document, status_code=problem.status, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Makes the application answer with problem documents."""
    app.add_exception_handler(TimbrescopeError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RefusedWhileReading, _on_refusal)
    app.add_exception_handler(Exception, _on_fault)
    for error in UNAVAILABLE:
        app.add_exception_handler(error, _on_unavailable)


async def _on_domain_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, TimbrescopeError)
    return error_response(error)


async def _on_unavailable(request: Request, error: Exception) -> ProblemResponse:
    log.warning("the store does not answer", extra={"error": repr(error)})
    return error_response(unavailable(error))


async def _on_refusal(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RefusedWhileReading)
    return error_response(error.reason)


async def _on_fault(request: Request, error: Exception) -> ProblemResponse:
    # Of what stands around `service.edge.faults`, which answers for all that is within it.
    return error_response(InternalError("A fault in the service; its log says more."))


async def _on_validation_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(found) for found in error.errors()]
    sentence = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return error_response(InvalidRequestError(f"{sentence}.", extra={"errors": faults}))


async def _on_http_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    path = request.url.path[:_LONGEST_PATH]
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {path}.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{path} does not take {request.method[:_LONGEST_ECHO]}.",
    }.get(status, f"{error.detail}")
    problem = Problem(
        type=problem_type(status.phrase.lower().replace(" ", "-")),
        title=status.phrase,
        status=int(status),
        detail=detail,
    )
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    return problem_response(problem, headers=headers)


def _allowed(request: Request) -> str:
    """The methods that a path takes. The router names only those of the first route that has the path."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    methods = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    if "GET" in methods:
        methods.insert(1, "HEAD")  # `service.edge.head_requests`
    return ", ".join(methods) or _OF_FILES


def error_response(error: TimbrescopeError) -> ProblemResponse:
    """The answer to who met this error."""
    headers = {}
    if isinstance(error, _ENDING):
        headers["Connection"] = "close"
    wait_s = retry_after_s(error)
    if wait_s is not None:
        headers["Retry-After"] = str(wait_s)
    if isinstance(error, UnauthorizedError | ForbiddenError):
        # RFC 6750, 3.1: nothing more is said when no key was sent
        reasons = (f'{name}="{error.extra[name]}"' for name in ("error", "scope") if name in error.extra)
        headers["WWW-Authenticate"] = f"Bearer {', '.join(reasons)}".rstrip()
    return problem_response(problem_of(error), headers=headers)


def _fault(found: dict[str, Any]) -> dict[str, str]:
    # The first part of the location says where (body, query, path); the rest is the field.
    field = ".".join(str(part) for part in found["loc"][1:]) or str(found["loc"][0])
    if found["type"] == "extra_forbidden":
        return {"field": field, "message": "There is no such field"}
    if found["type"] == "missing":
        return {"field": field, "message": "This field is required"}
    if field.partition(".")[0] in ("file", "stem"):
        return {"field": field, "message": "This has to be a file, sent with a file name"}
    given = str(found.get("input", ""))
    shown = given if len(given) <= _LONGEST_ECHO else f"{given[:_LONGEST_ECHO]}..."
    message = found["msg"].removeprefix("Value error, ")
    return {"field": field, "message": f"{message}, not {shown!r}"}
