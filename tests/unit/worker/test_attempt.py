"""One attempt at a job: whatever the work does, the job ends as it should, or is left to whom it belongs."""

import threading
import time
from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import ConnectionError

from ml.media import NonFiniteSamplesError
from tests.unit.worker.jobs_made import LIFETIMES, new_job
from worker.artifacts import ArtifactStore
from worker.attempt import REPORT_INTERVAL_S, Attempt, Delivery, Unfinished, Work, attempt_job
from worker.connection import UNAVAILABLE
from worker.errors import AttemptGivenBackError
from worker.jobs import Job, JobStatus
from worker.leases import LEASE_S, Leases
from worker.store import JobStore


class Bench:
    """A store with one job, and a way to attempt it."""

    def __init__(self, redis_url: str) -> None:
        redis = Redis.from_url(redis_url)
        self.store = JobStore(redis, LIFETIMES)
        self.artifacts = ArtifactStore(redis)
        self.leases = Leases(redis)
        job = new_job()
        self.job_id = job.id
        self.store.admit(job, b"recording", max_queued=1)

    def attempt(self, work: Work, message: str = "message", retries: int = 0) -> bool:
        """Attempts the job; whether it is unfinished."""
        return attempt_job(
            self.job_id,
            work,
            delivery=Delivery(message, retries),
            store=self.store,
            artifacts=self.artifacts,
            leases=self.leases,
            max_attempts=3,
        )

    @property
    def job(self) -> Job:
        """The job as it is now."""
        return self.store.get(self.job_id)


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench(redis_url)


def test_a_result(bench: Bench) -> None:
    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        assert job.status is JobStatus.RUNNING
        assert attempt.uploads() == (b"recording",)
        attempt.progress("classifying", 1, 1)
        attempt.keep("audio.wav", "audio/wav", b"sound")
        return {"instruments": []}

    bench.attempt(work)
    assert bench.job.status is JobStatus.SUCCEEDED
    assert bench.job.result == {"instruments": []}
    assert bench.artifacts.data(bench.job_id, "audio.wav") == b"sound"


def raises(error: Exception) -> Work:
    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (NonFiniteSamplesError("Sample 3 is NaN."), "non-finite-samples", 422),
        (ZeroDivisionError("secret"), "internal-error", 500),
        (MemoryError(), "internal-error", 500),
    ],
    ids=["bad recording", "fault", "memory"],
)
def test_an_error_ends_the_job(bench: Bench, error: Exception, code: str, status: int) -> None:
    bench.attempt(raises(error))
    assert bench.job.status is JobStatus.FAILED
    assert bench.job.error is not None
    assert (bench.job.error.type, bench.job.error.status) == (f"/problems/{code}", status)
    assert "secret" not in bench.job.error.detail


def test_a_job_that_has_ended_is_not_done_again(bench: Bench) -> None:
    bench.attempt(lambda job, attempt: {"first": True})
    ended = bench.job
    bench.attempt(raises(AssertionError("this must not run")))
    assert bench.job == ended


def test_a_job_that_is_gone_is_not_done(bench: Bench) -> None:
    bench.store.cancel(bench.job_id)
    bench.attempt(raises(AssertionError("this must not run")))
    bench.store.delete(bench.job_id)
    bench.attempt(raises(AssertionError("this must not run")))


@pytest.mark.parametrize("how", ["cancelled", "deleted", "taken over"])
def test_work_that_is_no_longer_wanted_stops(bench: Bench, how: str) -> None:
    reached = []

    def interfere() -> None:
        if how == "taken over":
            bench.store.begin(bench.job_id, "other", max_attempts=3)
            return
        bench.store.cancel(bench.job_id)
        if how == "deleted":
            bench.store.delete(bench.job_id)

    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        interfere()
        for done in range(100):  # it hears of it within two intervals of reports, of which these are twenty
            attempt.progress("classifying", done, 100)
            time.sleep(REPORT_INTERVAL_S / 5)
        reached.append("after the reports")
        return {}

    bench.attempt(work)
    assert reached == []
    if how == "cancelled":
        assert bench.job.status is JobStatus.CANCELLED
    if how == "taken over":
        assert bench.job.status is JobStatus.RUNNING


@pytest.mark.parametrize(
    "late", [lambda attempt: attempt.uploads(), lambda attempt: attempt.keep("a", "b", b"c")]
)
def test_so_does_work_that_reads_or_stores(bench: Bench, late: Callable[[Attempt], object]) -> None:
    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        bench.store.cancel(bench.job_id)
        late(attempt)
        raise AssertionError("this must not be reached")

    bench.attempt(work)
    assert bench.job.status is JobStatus.CANCELLED


def test_a_result_that_comes_too_late_is_dropped(bench: Bench) -> None:
    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        bench.store.cancel(bench.job_id)
        return {"late": True}

    bench.attempt(work)
    assert bench.job.status is JobStatus.CANCELLED
    assert bench.job.result is None


def test_quick_reports_are_not_all_written(bench: Bench) -> None:
    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        for done in range(1000):
            attempt.progress("classifying", done, 1000)
        attempt.progress("drawing", 0, 3)
        assert bench.job.progress.stage == "drawing"
        return {}

    bench.attempt(work)


def test_a_store_that_goes_away_does_not_end_the_job(bench: Bench) -> None:
    with pytest.raises(ConnectionError):
        bench.attempt(raises(ConnectionError("gone")))
    assert bench.job.status is JobStatus.RUNNING


def test_a_message_that_comes_twice_is_heeded_once(bench: Bench) -> None:
    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        assert not bench.attempt(raises(AssertionError("this must not run")), "message")
        assert not bench.attempt(raises(AssertionError("this must not run")), "another")
        return {"first": True}

    bench.attempt(work)
    assert (bench.job.result, bench.job.attempts) == ({"first": True}, 1)


def test_the_message_after_a_dead_process_need_not_wait_for_its_lease(bench: Bench) -> None:
    bench.leases.take(bench.job_id, Delivery("message", 0).holder)
    bench.store.begin(bench.job_id, "dead", max_attempts=3)
    assert not bench.attempt(raises(AssertionError("this must not run")), "another", 1)
    bench.attempt(lambda job, attempt: {"second": True}, "message", 1)
    assert (bench.job.result, bench.job.attempts) == ({"second": True}, 2)


def test_work_in_pieces_counts_only_the_attempts_at_each(bench: Bench) -> None:
    pieces: list[object] = []

    def work(job: Job, attempt: Attempt) -> Unfinished | dict[str, object]:
        assert job.attempts == 1
        attempt.progress("training", len(pieces), 10)
        pieces.append(job.started_at)
        return {"pieces": len(pieces)} if len(pieces) == 10 else Unfinished()

    while bench.attempt(work):
        assert bench.job.status is JobStatus.RUNNING
    assert bench.job.result == {"pieces": 10}
    assert set(pieces) == {bench.job.started_at}


def test_a_piece_that_dies_every_time_fails_the_job(bench: Bench) -> None:
    assert bench.attempt(lambda job, attempt: Unfinished())
    for number in range(3):
        bench.store.begin(bench.job_id, f"dead {number}", max_attempts=3)
    assert not bench.attempt(raises(AssertionError("this must not run")))
    assert bench.job.error is not None
    assert bench.job.error.type == "/problems/worker-lost"


def test_nothing_is_left_of_a_lease_when_the_job_has_ended(bench: Bench) -> None:
    bench.attempt(lambda job, attempt: {})
    assert not bench.leases.renew(bench.job_id, Delivery("message").holder)
    assert bench.leases.lapsed(10, ahead_s=2 * LEASE_S) == ()


def test_attempts_that_the_store_failed_do_not_count(bench: Bench) -> None:
    for _ in range(5):
        with pytest.raises(ConnectionError):
            bench.attempt(raises(ConnectionError("gone")))
        assert (bench.job.status, bench.job.attempts) == (JobStatus.RUNNING, 0)
    bench.attempt(lambda job, attempt: {"done": True})
    assert (bench.job.status, bench.job.attempts) == (JobStatus.SUCCEEDED, 1)


def test_nor_does_one_that_found_the_store_full(bench: Bench, redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    room = threading.Timer(1.5, redis.config_set, ("maxmemory", "0"))

    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        redis.config_set("maxmemory", "1")
        room.start()
        attempt.keep("audio.wav", "audio/wav", b"sound")
        raise AssertionError("this must not be reached")

    try:
        with pytest.raises(UNAVAILABLE):
            bench.attempt(work)
    finally:
        room.join()
        redis.config_set("maxmemory", "0")
    assert (bench.job.status, bench.job.attempts) == (JobStatus.RUNNING, 0)


def test_what_cannot_be_done_here_and_now_is_anothers_and_does_not_count(bench: Bench) -> None:
    def work(job: Job, attempt: Attempt) -> dict[str, object]:
        attempt.progress("decoding", 0, 1)
        raise AttemptGivenBackError("No process can be started.")

    for number in range(5):  # more often than a job is tried
        assert bench.attempt(work, f"message {number}")
        assert (bench.job.status, bench.job.attempts) == (JobStatus.RUNNING, 0)
        assert bench.job.attempt_token is None
    assert not bench.attempt(lambda _job, _attempt: {"done": True}, "last")
    assert (bench.job.status, bench.job.attempts) == (JobStatus.SUCCEEDED, 1)
