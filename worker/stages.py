"""The stages of an attempt at a job: how long each took, for the figures and for the attempt's trace.

Conventions: a stage lasts from the report that names it to the next one that names another, or to the end of
the attempt. A job that goes on in pieces spends several stretches in a stage; each is measured by itself.
What was measured waits for a change of the job that it can go along with.
"""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from worker import tracing
from worker.figures import Figures
from worker.jobs import Job
from worker.reports import StageTime


class Stages:
    """The stages that an attempt goes through, from where the job's record says that it is."""

    def __init__(self, job: Job, figures: Figures) -> None:
        self._kind = job.kind
        self._figures = figures
        self.current = job.progress.stage
        self._since = time.monotonic()
        self._span = ExitStack()
        self._times: list[StageTime] = []

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

    def take(self) -> tuple[StageTime, ...]:
        """What was measured since it was taken last; who takes it stores it."""
        taken, self._times = tuple(self._times), []
        return taken

    def send(self) -> None:
        """Stores what nobody has taken."""
        for each in self.take():
            self._figures.observe("job_stage_seconds", each.seconds, kind=self._kind, stage=each.stage)

    def _begin(self, stage: str) -> None:
        self.current, self._since = stage, time.monotonic()
        self._span.enter_context(tracing.span(stage))

    def _end(self) -> None:
        self._span.close()
        self._times.append(StageTime(self.current, time.monotonic() - self._since))
