"""Who asks, and what they may do.

Conventions: a key travels as `Authorization: Bearer KEY` (RFC 6750) and in no other way. A key that is sent
has to be good, also where none is needed; it opens what its scopes say, `infer` or `admin`, and one does not
hold the other. Where keys are not required, who sends none may infer. What a caller may not see is answered
as if it were not there. A request's caller is found once, and kept in its state.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from service.services import Provided, Services
from worker.api_keys import ApiKey, Scope
from worker.errors import ForbiddenError, UnauthorizedError, UnknownJobError
from worker.jobs import ANYONE, OPERATORS, Job, audience_of

_BEARER = re.compile(r"bearer(?: +(.*))?", re.IGNORECASE)

# Describes the scheme in the API description; the header is read here, so that faults are ours to word.
SCHEME = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    description="An API key, as `timbrescope keys create` makes it, or the admin key of the service.",
)


@dataclass(frozen=True)
class Caller:
    """Who asks. `owner` is the id of the key, empty without one; `per_minute` bounds the jobs of a minute."""

    owner: str
    scopes: frozenset[Scope]
    audiences: frozenset[str]
    per_minute: int | None

    def require_sight(self, job: Job) -> None:
        """Raises `UnknownJobError`, as for a job that is not there, when the caller may not see it."""
        if job.audience not in self.audiences:
            raise UnknownJobError(f"There is no job {job.id!r}.")

    def require(self, scope: Scope) -> Self:
        """Raises `ForbiddenError`, or `UnauthorizedError` without any key, when this may not be done."""
        if scope in self.scopes:
            return self
        if not self.owner:
            raise UnauthorizedError(f"This call needs an API key of scope {scope}, as {_AS_HEADER}.")
        raise ForbiddenError(
            f"This call needs an API key of scope {scope}; the one that was sent has "
            f"{' and '.join(sorted(self.scopes))}.",
            extra={"error": "insufficient_scope", "scope": str(scope)},
        )


_AS_HEADER = "`Authorization: Bearer KEY`"


def caller_of(request: Request, services: Services) -> Caller:
    """Who sends this request. Blocking, for the thread pool.

    Raises
    ------
    UnauthorizedError
        When the key is none that is valid, or there is none where keys are required.
    """
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        known = request.state.caller = _identify(request, services)
    return known


async def found_caller(request: Request, services: Services) -> Caller:
    """The same for asyncio: a thread is taken only where Redis has to be asked."""
    if hasattr(request.state, "caller") or _key_text(request) is None:
        return caller_of(request, services)
    return await run_in_threadpool(caller_of, request, services)


def _identify(request: Request, services: Services) -> Caller:
    settings = services.settings
    text = _key_text(request)
    if text is not None:
        return _holder(services.api_keys.check(text), services)
    if settings.keys_are_required:
        raise UnauthorizedError(f"This service needs an API key with every call, as {_AS_HEADER}.")
    return Caller("", frozenset({Scope.INFER}), frozenset({ANYONE}), per_minute=None)


def _holder(key: ApiKey, services: Services) -> Caller:
    audiences = {audience_of(key.id)}
    if Scope.ADMIN in key.scopes:
        audiences.add(OPERATORS)
    if not services.settings.keys_are_required:
        audiences.add(ANYONE)
    per_minute = key.per_minute or services.settings.rate_per_minute
    return Caller(key.id, key.scopes, frozenset(audiences), per_minute)


def _key_text(request: Request) -> str | None:
    """The key that was sent; None where the header is missing or is of another scheme."""
    sent = request.headers.getlist("authorization")
    found = [match for header in sent if (match := _BEARER.fullmatch(header.strip())) is not None]
    if len(found) > 1:
        raise UnauthorizedError(f"{len(found)} keys were sent; send one.", extra={"error": "invalid_request"})
    return (found[0].group(1) or "").strip() if found else None


async def _seeing(request: Request, services: Provided, _: Annotated[object, Security(SCHEME)]) -> Caller:
    return await found_caller(request, services)


async def _asking(request: Request, services: Provided, _: Annotated[object, Security(SCHEME)]) -> Caller:
    return (await found_caller(request, services)).require(Scope.INFER)


async def _operating(request: Request, services: Provided, _: Annotated[object, Security(SCHEME)]) -> Caller:
    return (await found_caller(request, services)).require(Scope.ADMIN)


# A caller of any scope, for what shows no more than the caller's own; of scope infer; of scope admin.
Seeing = Annotated[Caller, Depends(_seeing)]
Asking = Annotated[Caller, Depends(_asking)]
Operating = Annotated[Caller, Depends(_operating)]
KNOWN_ONLY = Depends(_seeing)
INFER_ONLY = Depends(_asking)
ADMIN_ONLY = Depends(_operating)
