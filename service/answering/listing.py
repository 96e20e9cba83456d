"""What `GET /jobs` is asked: how many jobs, from where on, and which.

Conventions: `status` and `kind`, given several times, widen; different fields narrow; of any other field one
value is meant, and two are refused. `next` of an answer asks the
same from where the page ended.
"""

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from ml.errors import FieldFault, InvalidRequestError, named
from worker.filters import JobFilter
from worker.ids import JOB_ID_PATTERN, is_job_id
from worker.jobs import JobKind, JobStatus

LARGEST_PAGE = 100
REPEATABLE = frozenset({"status", "kind"})

# Date, time and offset as RFC 3339, 5.6 writes them: the framework would take a number for a time as well.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def _moment(value: object) -> object:
    if isinstance(value, str) and not _MOMENT.fullmatch(value):
        raise ValueError("a time is written like 2026-03-01T12:00:00Z, and + as %2B")
    return value


def _cursor(value: str) -> str:
    if not is_job_id(value):
        raise ValueError("a cursor comes from `next` of the page before")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class JobQuery(BaseModel):
    """The query of `GET /jobs`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=LARGEST_PAGE, description="How many jobs at most.")
    cursor: Annotated[str, BeforeValidator(_cursor)] | None = Field(
        None,
        description="From `next` of the page before.",
        json_schema_extra={"pattern": f"^{JOB_ID_PATTERN}$"},
    )
    status: list[JobStatus] = Field([], description="Only jobs of these statuses.", examples=[["failed"]])
    kind: list[JobKind] = Field([], description="Only jobs of these kinds.", examples=[["explain"]])
    model: str | None = Field(None, description="Only jobs that ask this model.", examples=["default"])
    created_after: Moment | None = Field(
        None, description="Only jobs made after this moment.", examples=["2026-03-01T12:00:00Z"]
    )
    created_before: Moment | None = Field(
        None, description="Only jobs made before this moment.", examples=["2026-03-02T12:00:00Z"]
    )

    @property
    def wanted(self) -> JobFilter:
        """Which jobs are meant."""
        return JobFilter(
            statuses=frozenset(self.status),
            kinds=frozenset(self.kind),
            models=frozenset() if self.model is None else frozenset({self.model}),
            created_after=self.created_after,
            created_before=self.created_before,
        )

    def path_from(self, cursor: str | None) -> str | None:
        """The path of the page that begins there; None for none."""
        if cursor is None:
            return None
        asked = self.model_dump(mode="json", exclude_defaults=True, exclude={"cursor", "limit"})
        return f"/jobs?{urlencode({'limit': self.limit, 'cursor': cursor, **asked}, doseq=True)}"


async def _given_once(request: Request) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    once = JobQuery.model_fields.keys() - REPEATABLE
    faults = [
        FieldFault(name, "This field can be given once only")
        for name in sorted(once)
        if names.count(name) > 1
    ]
    if faults:
        raise InvalidRequestError(f"{'; '.join(map(str, faults))}.", extra=named(faults))


# A dependency: refuses a field of the query that is given twice where one value is meant. The framework would
# take the last.
GIVEN_ONCE = Depends(_given_once)
