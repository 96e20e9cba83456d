"""How a worker's parent speaks for its processes: those that took too long, and those that are told to go."""

import signal
import subprocess
import sys

import pytest
from celery.exceptions import TimeLimitExceeded
from redis import Redis

from tests.unit.worker.jobs_made import LIFETIMES, new_job
from worker import tasks
from worker.attempt import Delivery
from worker.jobs import Job, JobStatus
from worker.leases import Leases
from worker.settings import WorkerSettings
from worker.store import JobStore


@pytest.fixture
def store(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    monkeypatch.setattr(tasks, "worker_settings", lambda: WorkerSettings(redis_url=redis_url))
    return JobStore(Redis.from_url(redis_url), LIFETIMES)


@pytest.fixture
def running(redis_url: str, store: JobStore) -> Job:
    """A job that the message "mine" is at work on."""
    job = new_job()
    store.admit(job, b"recording", max_queued=10)
    Leases(Redis.from_url(redis_url)).take(job.id, Delivery("mine", 0, "here/17/18").holder)
    return store.begin(job.id, "token", max_attempts=3)


def end(job: Job, task_id: str, error: BaseException) -> None:
    tasks.end_in_its_place(sender=tasks.explain, task_id=task_id, exception=error, args=[job.id])


def test_a_job_that_took_too_long_fails(store: JobStore, running: Job) -> None:
    end(running, "mine", TimeLimitExceeded(600))
    ended = store.get(running.id)
    assert ended.error is not None
    assert ended.error.type == "/problems/time-limit"


def test_unless_somebody_else_has_it_by_now(store: JobStore, running: Job) -> None:
    """The process was frozen, lost its job, woke up, and took too long."""
    end(running, "frozen", TimeLimitExceeded(600))
    assert store.get(running.id) == running


def test_a_death_is_the_reapers(store: JobStore, running: Job) -> None:
    end(running, "mine", RuntimeError("Worker exited prematurely"))
    assert store.get(running.id).status is JobStatus.RUNNING


def test_jobs_are_given_back_before_celery_hears_of_it(redis_url: str, store: JobStore) -> None:
    """In a process of its own, whose handlers are its own."""
    job, before = new_job(), signal.getsignal(signal.SIGQUIT)
    store.admit(job, b"recording", max_queued=10)
    program = f"""
import os, signal
from redis import Redis
from tests.unit.worker.jobs_made import LIFETIMES
from worker.attempt import Delivery
from worker.leases import Leases
from worker.presence import names_of_worker
from worker.run import give_back_before_quitting
from worker.settings import WorkerSettings
from worker.store import JobStore
redis = Redis.from_url({redis_url!r})
store = JobStore(redis, LIFETIMES)
signal.signal(signal.SIGQUIT, lambda number, frame: print("celery:", store.get({job.id!r}).attempts))
for _ in range(2):  # once is enough
    give_back_before_quitting(WorkerSettings(redis_url={redis_url!r}))
Leases(redis).take({job.id!r}, Delivery("mine", 0, names_of_worker(os.getpid()) + "18").holder)
store.begin({job.id!r}, "token", max_attempts=3)
os.kill(os.getpid(), signal.SIGQUIT)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "celery: 0"
    assert signal.getsignal(signal.SIGQUIT) is before
    assert Redis.from_url(redis_url).llen("ts:celery:interactive") == 1
