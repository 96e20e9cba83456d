"""Reports of an attempt's progress: written now and then, all of them, and rarely in the way of the work.

Conventions: what is told sooner than `interval_s` after the last report was written waits: for the next one
that is due, which is written by whoever tells it, for a thread beside the work that writes it then, or for
the end of the job, in whose transaction it goes along (`Along`). So a job that is done in less than that is
written twice, as it begins and as it ends, and its stream still holds every stage in order. Of reports of the
same stage that wait the last one counts. While one is being written nobody who tells waits for that. What the
thread finds out, that the job is no longer wanted or a fault, is raised by the next report.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from worker.artifacts import ArtifactFile
from worker.connection import UNAVAILABLE
from worker.errors import AttemptLostError
from worker.jobs import Job
from worker.logs import carried
from worker.progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageTime:
    """How long an attempt was in a stage."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class Along:
    """What is stored in the same transaction as a change of a job: files, what was told before it and has not
    been written yet, the earliest first, and how long stages took.
    """

    files: Sequence[ArtifactFile] = ()
    told: Sequence[Progress] = ()
    stages: Sequence[StageTime] = ()


NOTHING = Along()

# Writes progress, and what was told before it; raises `AttemptLostError` when the work is no longer wanted.
Write = Callable[[Progress, Sequence[Progress]], Job]


class Reports:
    """The reports of one attempt, while the context lasts."""

    def __init__(self, write: Write, interval_s: float) -> None:
        self._write = write
        self._interval_s = interval_s
        self._written_at = time.monotonic()
        self._waiting: list[Progress] = []
        self._found: Exception | None = None
        self._lock = threading.Lock()  # of the two above, never held while the store is waited for
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def are_due(self) -> bool:
        """Whether the last one was written, or asked about, long enough ago."""
        return time.monotonic() - self._written_at >= self._interval_s

    def tell(self, progress: Progress) -> None:
        """Reports soon; raises `AttemptLostError` when the work is known to be no longer wanted."""
        self._let_wait(progress)
        if self.are_due and self._writing.acquire(blocking=False):
            try:
                self._write_waiting()
            finally:
                self._writing.release()
        if self._thread is None and self._waiting:
            self._thread = threading.Thread(target=carried(self._write_late), name="reports", daemon=True)
            self._thread.start()

    def tell_now(self, progress: Progress) -> Job:
        """Reports at once, and tells how the job stands; raises like `tell`."""
        with self._writing:
            self._let_wait(progress)
            return self._write_waiting()

    def flush(self) -> None:
        """Writes what waits; raises like `tell`."""
        with self._writing:
            if self._waiting:
                self._write_waiting()

    def asked(self) -> None:
        """Somebody has just looked whether the work is still wanted."""
        self._written_at = time.monotonic()

    def left(self) -> tuple[Progress, ...]:
        """What was told and has not been written, once the context has ended."""
        return tuple(self._waiting)

    def _let_wait(self, progress: Progress) -> None:
        with self._lock:
            if self._found is not None:
                raise self._found
            self._waiting = _in_order([*self._waiting, progress])

    def _write_waiting(self) -> Job:
        """Writes it all, by whoever holds the right to write; what could not be written waits again."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        *told, last = taken
        self._written_at = time.monotonic()
        try:
            return self._write(last, told)
        except BaseException:
            with self._lock:
                self._waiting = _in_order([*taken, *self._waiting])
            raise

    def _write_late(self) -> None:
        while not self._ended.wait(self._interval_s):
            with self._writing:
                if not self._waiting or not self.are_due:
                    continue
                try:
                    self._write_waiting()
                except UNAVAILABLE as error:  # the next report will find out, or the end
                    log.debug("could not report", extra={"error": repr(error)})
                except Exception as error:
                    if not isinstance(error, AttemptLostError):
                        log.exception("fault while reporting")
                    with self._lock:
                        self._found = error
                    return


def _in_order(told: Sequence[Progress]) -> list[Progress]:
    """As it was told, of neighbours of the same stage the last."""
    return [
        progress
        for progress, after in zip(told, [*told[1:], None], strict=True)
        if after is None or after.stage != progress.stage
    ]
