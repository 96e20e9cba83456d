"""Progress: what it tells of pace, and what it leaves out."""

import pytest

from worker.progress import EpochMetrics, Progress, paced


def test_pace_is_that_of_this_job_alone() -> None:
    progress = paced("rendering", 60, 100, done_before=40, elapsed_s=10.0)
    assert (progress.per_second, progress.left_s) == (2.0, 20.0)


@pytest.mark.parametrize(("done", "elapsed_s"), [(40, 10.0), (60, 0.0), (39, 10.0)])
def test_without_anything_done_there_is_no_pace(done: int, elapsed_s: float) -> None:
    progress = paced("rendering", done, 100, done_before=40, elapsed_s=elapsed_s)
    assert progress == Progress("rendering", done, 100)


def test_documents_leave_out_what_says_nothing() -> None:
    assert Progress("drawing", 1, 2).document() == {"stage": "drawing", "done": 1, "total": 2}
    metrics = EpochMetrics(1, 5, 0.5, 0.25, 0.75)
    assert Progress("training", 1, 2, 0.0, 3.0, metrics).document() == {
        "stage": "training",
        "done": 1,
        "total": 2,
        "per_second": 0.0,
        "left_s": 3.0,
        "metrics": vars(metrics),
    }
