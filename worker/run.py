"""Starts a worker: a parent process that takes messages, and a pool of processes that compute.

Conventions: SIGTERM lets running jobs finish, then ends everything; SIGQUIT ends them at once and gives their
jobs back to the queue. The pool's processes die with their parent.
"""

import os
import platform
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from celery.exceptions import SecurityWarning
from celery.signals import worker_ready

from worker.application import worker_app
from worker.catalog import Catalog
from worker.connection import UNAVAILABLE, connect
from worker.errors import StoreUnavailableError
from worker.host import announcements
from worker.logs import configure_logging
from worker.presence import names_of_worker
from worker.queue import JobQueue
from worker.reaper import Reaper
from worker.settings import WorkerSettings
from worker.workplace import job_store


def main(settings: WorkerSettings) -> int:
    """Works until told to stop; returns the exit status.

    Raises
    ------
    TimbrescopeError
        At once, when this machine has no models to serve or a model's card is damaged.
    """
    configure_logging(settings.log_level, settings.log_format)
    # Celery warns of every worker that runs as root, for messages could carry code; ours are JSON with ids.
    warnings.simplefilter("ignore", SecurityWarning)
    announcements(settings)
    limit_threads(settings.threads)
    worker = worker_app(settings).Worker(
        hostname=f"worker-{os.getpid()}@{platform.node()}",
        concurrency=settings.concurrency,
        queues=list(settings.queues),
        loglevel=settings.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )

    @worker_ready.connect(weak=False)
    def on_ready(**_: object) -> None:
        give_back_before_quitting(settings)

    try:
        worker.start()
    finally:
        leave(settings)
    return int(worker.exitcode or 0)


def limit_threads(threads: int) -> None:
    """Holds the numeric libraries of processes yet to be started to this many threads each."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)


def give_back_before_quitting(settings: WorkerSettings) -> None:
    """From now on SIGQUIT gives jobs back before Celery ends what works on them: no attempt counts."""
    quit_at_once = signal.getsignal(signal.SIGQUIT)
    if isinstance(quit_at_once, _GivesBack) or not callable(quit_at_once):
        return  # Celery says that it is ready whenever it has found Redis again
    signal.signal(signal.SIGQUIT, _GivesBack(settings, quit_at_once))


@dataclass(frozen=True)
class _GivesBack:
    settings: WorkerSettings
    then: Callable[[int, FrameType | None], object]

    def __call__(self, number: int, frame: FrameType | None) -> None:
        leave(self.settings)
        self.then(number, frame)


def leave(settings: WorkerSettings) -> None:
    """Speaks for processes that are ended in haste: they are there no more, and their jobs are anybody's."""
    redis, own = connect(settings.redis_url), names_of_worker(os.getpid())
    try:
        Catalog(redis).withdraw_all(own)
        Reaper(redis, job_store(redis, settings), JobQueue(settings)).take_back(own)
    except (StoreUnavailableError, *UNAVAILABLE):
        return  # they lapse by themselves


if __name__ == "__main__":
    sys.exit(main(WorkerSettings()))
