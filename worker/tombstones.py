"""What is left of a job that is gone: what became of it, and who may know.

Conventions: a tombstone's text is `<fate>` or `<fate> <audience>`; one without audience was left by a version
of the program that knew none, when everybody saw every job. Who could not see a job does not learn that it
ever was.
"""

from collections.abc import Collection
from enum import StrEnum

from worker.errors import JobDeletedError, JobExpiredError, UnknownJobError
from worker.jobs import ANYONE

Absence = UnknownJobError | JobExpiredError | JobDeletedError

_LONGEST_ECHO = 64


class Fate(StrEnum):
    """What became of a job."""

    EXPIRED = "expired"
    DELETED = "deleted"


def tombstone_text(fate: Fate, audience: str) -> str:
    """What is stored."""
    return f"{fate} {audience}"


def absence(job_id: str, stored: bytes | None, audiences: Collection[str] | None = None) -> Absence:
    """How the job is not there for these audiences (None: for those who may see all)."""
    fate, _, audience = (stored or b"").decode().partition(" ")
    if audiences is None or (audience or ANYONE) in audiences:
        if fate == Fate.EXPIRED:
            return JobExpiredError(f"Job {job_id} has expired, and its files with it.")
        if fate == Fate.DELETED:
            return JobDeletedError(f"Job {job_id} was deleted.")
    return UnknownJobError(f"There is no job {job_id[:_LONGEST_ECHO]!r}.")
