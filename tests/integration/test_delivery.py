"""Jobs whose worker dies, is stopped, or is no longer wanted: one end each, nothing lost or left running."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.integration import sounds
from tests.integration.processes import START_S, Stack, running_stack, start_redis, start_worker, wait_until
from worker.jobs import Job, JobStatus
from worker.store import JobStore, Lifetimes

END_S = 120.0
REAPED_S = 15.0
"""How long a job of a dead worker may go without another: its lease lapses, and a reaper comes by."""
N_WAITING = 60
"""More jobs than a worker does in that time."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")


@pytest.fixture(scope="module")
def one_process() -> Iterator[Stack]:
    """A service of its own, whose worker has one process."""
    folder = Path(tempfile.mkdtemp(prefix="ts-kill-"))
    with running_stack(folder, TIMBRESCOPE_CONCURRENCY="1") as started:
        yield started
    shutil.rmtree(folder)


class Watcher:
    """Posts jobs and looks at their records."""

    def __init__(self, stack: Stack) -> None:
        self.client = stack.client
        self.redis = Redis.from_url(stack.redis_url)
        self.store = JobStore(self.redis, Lifetimes(600.0, 600.0, 600.0))

    def post_long(self) -> str:
        """A job that runs for a good while: its id."""
        fields = {"instruments": self.instruments(), "concepts": "20"}
        wav = sounds.audio_file(sounds.tone(30.0))
        answer = self.client.post("/explain", files={"file": ("x", wav)}, data=fields)
        assert answer.status_code == 202
        return str(answer.json()["id"])

    def post_middling(self) -> str:
        """A job that runs for about a second: its id."""
        wav = sounds.audio_file(sounds.tone(5.0))
        answer = self.client.post("/explain", files={"file": ("x", wav)}, data={"instruments": "Violin"})
        assert answer.status_code == 202
        return str(answer.json()["id"])

    def post_short(self) -> str:
        """A job that takes no time: its id."""
        wav = sounds.audio_file(sounds.tone(1.0))
        return str(self.client.post("/classify", files={"file": ("x", wav)}).json()["id"])

    def instruments(self) -> list[str]:
        """All that the default model knows."""
        return [each["instrument"] for each in self.client.get("/instruments").json()["instruments"]]

    def wait_for(self, job_id: str, status: JobStatus, attempts: int | None = None) -> Job:
        """The job once it has this status, in this attempt."""

        def reached() -> bool:
            job = self.store.get(job_id)
            return job.status is status and attempts in (None, job.attempts)

        wait_until(reached, END_S, f"{status} of job {job_id}")
        return self.store.get(job_id)


@pytest.fixture
def watch(one_process: Stack) -> Iterator[Watcher]:
    watcher = Watcher(one_process)
    with watcher.redis:
        yield watcher


def test_a_running_job_that_is_cancelled_stops_soon(one_process: Stack, watch: Watcher) -> None:
    job_id = watch.post_long()
    watch.wait_for(job_id, JobStatus.RUNNING)
    wait_until(lambda: watch.store.get(job_id).progress.stage == "attributing", END_S, "attributing")
    processes = one_process.worker.children()
    started = time.monotonic()
    answer = watch.client.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    short = watch.post_short()  # the only process is free again soon
    watch.wait_for(short, JobStatus.SUCCEEDED)
    assert time.monotonic() - started < 5.0
    assert one_process.worker.children() == processes
    assert watch.store.get(job_id).status is JobStatus.CANCELLED
    assert watch.client.delete(f"/jobs/{job_id}").status_code == 204
    with Redis.from_url(one_process.redis_url) as redis:
        assert redis.keys(f"ts:job:{job_id}*") == []


def test_a_queued_job_that_is_cancelled_never_starts(watch: Watcher) -> None:
    blocking, waiting = watch.post_long(), watch.post_short()
    watch.client.delete(f"/jobs/{waiting}")
    watch.client.delete(f"/jobs/{blocking}")
    watch.wait_for(watch.post_short(), JobStatus.SUCCEEDED)
    job = watch.store.get(waiting)
    assert (job.status, job.attempts) == (JobStatus.CANCELLED, 0)


def test_a_job_whose_process_is_killed_runs_again(one_process: Stack, watch: Watcher) -> None:
    job_id, behind = watch.post_long(), watch.post_short()
    watch.wait_for(job_id, JobStatus.RUNNING, attempts=1)
    _kill_pool(one_process)
    watch.wait_for(job_id, JobStatus.RUNNING, attempts=2)
    watch.client.delete(f"/jobs/{job_id}")
    assert watch.wait_for(behind, JobStatus.SUCCEEDED).attempts == 1


def test_the_job_of_a_worker_that_is_killed_whole_runs_again_soon(one_process: Stack, watch: Watcher) -> None:
    """However many jobs wait that were accepted later."""
    with Redis.from_url(one_process.redis_url) as redis:
        other = start_worker(one_process.folder, one_process.settings, "other-worker")
        try:
            wait_until(lambda: len(redis.keys("ts:worker:*")) == 2, START_S, "another worker", every_s=0.5)
            job_id = watch.post_long()
            watch.wait_for(job_id, JobStatus.RUNNING, attempts=1)
            both = (one_process.worker, other)
            wait_until(lambda: any(f"job={job_id}" in each.text() for each in both), END_S, "a line of a log")
            (victim,) = (process for process in both if f"job={job_id}" in process.text())
            behind = [watch.post_middling() for _ in range(N_WAITING)]
            victim.kill()
            killed_at = time.monotonic()
            watch.wait_for(job_id, JobStatus.RUNNING, attempts=2)
            assert time.monotonic() - killed_at < REAPED_S  # the broker would take minutes
            assert watch.store.get(behind[-1]).status is JobStatus.QUEUED
            for each in (job_id, *behind):
                watch.client.delete(f"/jobs/{each}")
            if victim is one_process.worker:
                one_process.worker, other = other, one_process.worker
        finally:
            other.kill()
        wait_until(
            lambda: len(redis.keys("ts:worker:*")) == 1, START_S, "the dead to be forgotten", every_s=0.5
        )
        watch.wait_for(watch.post_short(), JobStatus.SUCCEEDED)


@pytest.mark.slow
def test_a_job_that_kills_every_process_fails(one_process: Stack, watch: Watcher) -> None:
    job_id = watch.post_long()
    for attempt in (1, 2, 3):
        watch.wait_for(job_id, JobStatus.RUNNING, attempts=attempt)
        _kill_pool(one_process)
    job = watch.wait_for(job_id, JobStatus.FAILED)
    assert job.attempts == 3
    assert job.error is not None
    assert (job.error.type, job.error.status) == ("/problems/worker-lost", 500)
    watch.wait_for(watch.post_short(), JobStatus.SUCCEEDED)


@pytest.mark.slow
def test_a_worker_that_is_stopped_in_haste_gives_its_job_back(one_process: Stack, watch: Watcher) -> None:
    job_id = watch.post_long()
    watch.wait_for(job_id, JobStatus.RUNNING, attempts=1)
    one_process.worker.stop(signal.SIGQUIT)
    problem = watch.client.get("/health/ready")
    assert (problem.status_code, problem.json()["type"]) == (503, "/problems/no-worker")
    assert watch.store.get(job_id).attempts == 0  # the one that was stopped does not count
    one_process.worker = start_worker(one_process.folder, one_process.settings)
    watch.wait_for(job_id, JobStatus.RUNNING, attempts=1)
    watch.client.delete(f"/jobs/{job_id}")


@pytest.mark.slow
def test_a_job_beyond_the_time_limit_fails() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ts-late-"))
    limits = {
        "TIMBRESCOPE_CONCURRENCY": "1",
        "TIMBRESCOPE_TASK_TIME_LIMIT_S": "3",
        "TIMBRESCOPE_TRAINING_PIECE_S": "1",
    }
    with running_stack(folder, **limits) as stack:
        watch = Watcher(stack)
        with watch.redis:
            job = watch.wait_for(watch.post_long(), JobStatus.FAILED)
            assert job.error is not None
            assert job.error.type == "/problems/time-limit"
            watch.wait_for(watch.post_short(), JobStatus.SUCCEEDED)
    shutil.rmtree(folder)


def test_stopping_lets_the_running_job_finish(one_process: Stack, watch: Watcher) -> None:
    wav = sounds.audio_file(sounds.tone(5.0))
    fields = {"instruments": "Violin", "concepts": "2"}
    answer = watch.client.post("/explain", files={"file": ("x", wav)}, data=fields)
    job_id = answer.json()["id"]
    watch.wait_for(job_id, JobStatus.RUNNING)
    assert one_process.worker.stop(signal.SIGTERM) == 0
    assert watch.store.get(job_id).status is JobStatus.SUCCEEDED
    assert httpx.get(f"{one_process.url}/health/ready").status_code == 503
    one_process.worker = start_worker(one_process.folder, one_process.settings)
    one_process.wait_until_ready()


def test_redis_that_goes_and_comes_back_is_found_again(one_process: Stack, watch: Watcher) -> None:
    watch.wait_for(watch.post_short(), JobStatus.SUCCEEDED)
    one_process.redis.stop()
    wav = sounds.audio_file(sounds.tone(1.0))
    for answer in (
        watch.client.get("/health/ready"),
        watch.client.get("/jobs"),
        watch.client.post("/classify", files={"file": ("x", wav)}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
    one_process.redis, _ = start_redis(one_process.folder)
    one_process.wait_until_ready()
    answer = watch.client.post("/classify", files={"file": ("x", wav)}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200


def _kill_pool(stack: Stack) -> None:
    """Kills the processes of the worker's pool."""
    processes = stack.worker.children()
    assert processes
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
