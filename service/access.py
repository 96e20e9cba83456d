"""Who asks, and what they may do.

Conventions: a key travels as `Authorization: Bearer KEY` and is compared in constant time. `infer` is granted
to everybody; `admin`, for data sets, trainings and their jobs, to who sends the admin key. What a caller may
not see is answered as if it were not there.
"""

import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from service.services import Provided, Services
from worker.errors import AdminDisabledError, UnauthorizedError, UnknownJobError
from worker.jobs import ANYONE, OPERATORS, Job

_BEARER = re.compile(r"bearer +(\S.*)", re.IGNORECASE)

# Describes the scheme in the API description; the header is read here, so that faults are ours to word.
SCHEME = HTTPBearer(auto_error=False, scheme_name="adminKey", description="The admin key.")


class Scope(StrEnum):
    """What a caller may do."""

    INFER = "infer"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    scopes: frozenset[Scope]

    @property
    def audiences(self) -> frozenset[str]:
        """Whose jobs are there for this caller."""
        return frozenset({ANYONE, OPERATORS} if Scope.ADMIN in self.scopes else {ANYONE})

    def require_sight(self, job: Job) -> None:
        """Raises `UnknownJobError`, as for a job that is not there, when the caller may not see it."""
        if job.audience not in self.audiences:
            raise UnknownJobError(f"There is no job {job.id!r}.")


def _caller(request: Request, services: Provided, _: Annotated[object, Security(SCHEME)]) -> Caller:
    key = _key(request)
    if key is not None and _is_admin_key(services, key):
        return Caller(frozenset(Scope))
    return Caller(frozenset({Scope.INFER}))


def _require_admin(request: Request, services: Provided, _: Annotated[object, Security(SCHEME)]) -> None:
    """Lets nobody pass without the admin key.

    Raises
    ------
    AdminDisabledError, UnauthorizedError
    """
    if services.settings.admin_key is None:
        raise AdminDisabledError(
            "This call needs an admin key, and none is set: start the API with TIMBRESCOPE_ADMIN_KEY, or the "
            "whole service with `timbrescope up`, which makes one."
        )
    key = _key(request)
    if key is None:
        raise UnauthorizedError("This call needs the admin key, as `Authorization: Bearer KEY`.")
    if not _is_admin_key(services, key):
        raise UnauthorizedError("This is not the admin key.", extra={"error": "invalid_token"})


def _key(request: Request) -> str | None:
    found = _BEARER.fullmatch(request.headers.get("authorization", "").strip())
    return None if found is None else found.group(1)


def _is_admin_key(services: Services, key: str) -> bool:
    expected = services.settings.admin_key
    if expected is None:
        return False
    return hmac.compare_digest(key.encode(), expected.get_secret_value().encode())


Asking = Annotated[Caller, Depends(_caller)]
ADMIN_ONLY = Depends(_require_admin)
