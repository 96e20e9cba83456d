"""Which jobs somebody wants to see, of those that they may see.

Conventions: what is empty or None narrows nothing. Times are aware; a job made at `created_after` or at
`created_before` is not meant.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from worker.jobs import Job, JobKind, JobStatus


@dataclass(frozen=True)
class JobFilter:
    """What wanted jobs have in common."""

    statuses: Collection[JobStatus] = frozenset()
    kinds: Collection[JobKind] = frozenset()
    models: Collection[str] = frozenset()
    created_after: datetime | None = None
    created_before: datetime | None = None

    def holds(self, job: Job) -> bool:
        """Whether the job is wanted."""
        return (
            (not self.statuses or job.status in self.statuses)
            and (not self.kinds or job.kind in self.kinds)
            and (not self.models or (job.model is not None and job.model.id in self.models))
            and (self.created_after is None or job.created_at > self.created_after)
            and (self.created_before is None or job.created_at < self.created_before)
        )


ALL = JobFilter()
