"""The stages of an attempt at a job: how long each took, for the figures and for the attempt's trace.

Conventions: a stage lasts from the report that names it to the next one that names another, or to the end of
the attempt. A job that goes on in pieces spends several stretches in a stage; each is measured by itself.
"""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from worker import tracing
from worker.figures import Figures
from worker.jobs import Job


class Stages:
    """The stages that an attempt goes through, from where the job's record says that it is."""

    def __init__(self, job: Job, figures: Figures) -> None:
        self._kind = job.kind
        self._figures = figures
        self.current = job.progress.stage
        self._since = time.monotonic()
        self._span = ExitStack()

    def __enter__(self) -> Self:
        self._begin(self.current)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def enter(self, stage: str) -> None:
        """The work is at this stage now."""
        if stage != self.current:
            self._end()
            self._begin(stage)

    def _begin(self, stage: str) -> None:
        self.current, self._since = stage, time.monotonic()
        self._span.enter_context(tracing.span(stage))

    def _end(self) -> None:
        self._span.close()
        elapsed_s = time.monotonic() - self._since
        self._figures.observe("job_stage_seconds", elapsed_s, kind=self._kind, stage=self.current)
