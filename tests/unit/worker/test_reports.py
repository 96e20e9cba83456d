"""Reports of progress: few are written, none is lost, and nobody waits for them."""

import threading
import time
from collections.abc import Sequence

import pytest
from redis.exceptions import ConnectionError

from tests.unit.worker.jobs_made import new_job
from worker.errors import AttemptLostError
from worker.jobs import Job
from worker.progress import Progress
from worker.reports import Reports

SOON_S = 10.0


class Written:
    """What was written, as it went to the store; raises what it is told to."""

    def __init__(self) -> None:
        self.states: list[list[Progress]] = []
        self.fault: Exception | None = None
        self.came = threading.Event()

    def __call__(self, progress: Progress, told: Sequence[Progress]) -> Job:
        if self.fault is not None:
            self.came.set()
            raise self.fault
        self.states.append([*told, progress])
        self.came.set()
        return new_job()


def test_what_comes_soon_waits_for_the_end_and_keeps_its_order() -> None:
    written = Written()
    with Reports(written, interval_s=60.0) as reports:
        for stage in ("decoding", "classifying"):
            reports.tell(Progress(stage, 0, 2))
            reports.tell(Progress(stage, 1, 2))
    assert written.states == []
    assert reports.left() == (Progress("decoding", 1, 2), Progress("classifying", 1, 2))


def test_what_waits_is_written_beside_the_work() -> None:
    written = Written()
    with Reports(written, interval_s=0.05) as reports:
        reports.tell(Progress("decoding", 0, 1))
        reports.tell(Progress("attributing", 0, 1))
        assert written.came.wait(SOON_S)
    assert written.states == [[Progress("decoding", 0, 1), Progress("attributing", 0, 1)]]
    assert reports.left() == ()


def test_what_comes_late_is_written_at_once_with_what_waited() -> None:
    written = Written()
    with Reports(written, interval_s=0.0) as reports:
        reports.tell(Progress("decoding", 0, 1))
        assert written.states == [[Progress("decoding", 0, 1)]]
        assert reports.tell_now(Progress("decoding", 1, 1)).id
    assert written.states[1:] == [[Progress("decoding", 1, 1)]]


def test_that_nobody_wants_it_any_more_is_raised_by_the_next_report() -> None:
    written = Written()
    written.fault = AttemptLostError("Somebody else has it.")
    with Reports(written, interval_s=0.05) as reports:
        reports.tell(Progress("decoding", 0, 1))
        assert written.came.wait(SOON_S)
        with pytest.raises(AttemptLostError, match="Somebody else has it"):
            _tell_on(reports)


def _tell_on(reports: Reports) -> None:
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        reports.tell(Progress("decoding", 0, 1))


def test_a_fault_beside_the_work_is_logged_and_raised_by_the_next_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = Written()
    written.fault = ValueError("no such thing")
    with Reports(written, interval_s=0.05) as reports:
        reports.tell(Progress("decoding", 0, 1))
        assert written.came.wait(SOON_S)
        with pytest.raises(ValueError, match="no such thing"):
            _tell_on(reports)
    assert [record.message for record in caplog.records if record.exc_info] == ["fault while reporting"]
    assert reports.left() == (Progress("decoding", 0, 1),)


@pytest.mark.parametrize("fails", [False, True])
def test_who_tells_does_not_wait_for_what_is_written_beside_the_work(fails: bool) -> None:
    begun, may_end = threading.Event(), threading.Event()
    states: list[list[Progress]] = []

    def write(progress: Progress, told: Sequence[Progress]) -> Job:
        begun.set()
        assert may_end.wait(SOON_S)
        if fails:
            raise ConnectionError("away")
        states.append([*told, progress])
        return new_job()

    with Reports(write, interval_s=0.05) as reports:
        reports.tell(Progress("decoding", 0, 3))
        assert begun.wait(SOON_S)
        time.sleep(0.1)  # the next ones are due
        reports.tell(Progress("decoding", 1, 3))  # would never return if it waited: nobody ends the write
        reports.tell(Progress("attributing", 0, 1))
        assert states == []
        may_end.set()
    first = [] if fails else [Progress("decoding", 0, 3)]
    kept = [*(progress for state in states for progress in state), *reports.left()]
    assert kept == [*first, Progress("decoding", 1, 3), Progress("attributing", 0, 1)]


def test_a_store_that_is_away_keeps_nothing_from_the_work() -> None:
    written = Written()
    written.fault = ConnectionError("away")
    with Reports(written, interval_s=0.05) as reports:
        reports.tell(Progress("decoding", 0, 1))
        assert written.came.wait(SOON_S)
        written.fault = None
        written.came.clear()
        assert written.came.wait(SOON_S)
    assert written.states == [[Progress("decoding", 0, 1)]]
