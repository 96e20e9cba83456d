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

from ml.errors import InvalidRequestError, TimbrescopeError
from worker.connection import UNAVAILABLE, unavailable
from worker.errors import InternalError, UnauthorizedError
from worker.problems import MEDIA_TYPE, Problem, problem_of, problem_type, retry_after_s

log = logging.getLogger(__name__)

_LONGEST_ECHO = 60


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
    app.add_exception_handler(Exception, _on_fault)
    for error in UNAVAILABLE:
        app.add_exception_handler(error, _on_unavailable)


async def _on_domain_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, TimbrescopeError)
    return _answer(error)


async def _on_unavailable(request: Request, error: Exception) -> ProblemResponse:
    log.warning("the store does not answer", extra={"error": repr(error)})
    return _answer(unavailable(error))


async def _on_fault(request: Request, error: Exception) -> ProblemResponse:
    return _answer(InternalError("A fault in the service; its log says more."))


async def _on_validation_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(found) for found in error.errors()]
    sentence = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return _answer(InvalidRequestError(f"{sentence}.", extra={"errors": faults}))


async def _on_http_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}.",
    }.get(status, f"{error.detail}")
    problem = Problem(
        type=problem_type(status.phrase.lower().replace(" ", "-")),
        title=status.phrase,
        status=int(status),
        detail=detail,
    )
    return problem_response(problem, headers=dict(error.headers or {}))


def _answer(error: TimbrescopeError) -> ProblemResponse:
    headers = {}
    wait_s = retry_after_s(error)
    if wait_s is not None:
        headers["Retry-After"] = str(wait_s)
    if isinstance(error, UnauthorizedError):
        reason = error.extra.get("error")  # RFC 6750, 3.1: absent when no key was sent
        headers["WWW-Authenticate"] = "Bearer" if reason is None else f'Bearer error="{reason}"'
    return problem_response(problem_of(error), headers=headers)


def _fault(found: dict[str, Any]) -> dict[str, str]:
    # The first part of the location says where (body, query, path); the rest is the field.
    field = ".".join(str(part) for part in found["loc"][1:]) or str(found["loc"][0])
    if found["type"] == "extra_forbidden":
        return {"field": field, "message": "There is no such field"}
    if found["type"] == "missing":
        return {"field": field, "message": "This field is required"}
    if field == "file" or field.partition(".")[0] == "stem":
        return {"field": field, "message": "This has to be a file, sent with a file name"}
    given = str(found.get("input", ""))
    shown = given if len(given) <= _LONGEST_ECHO else f"{given[:_LONGEST_ECHO]}..."
    return {"field": field, "message": f"{found['msg']}, not {shown!r}"}
