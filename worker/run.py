"""Starts a worker: a parent process that takes messages, and a pool of processes that compute.

Conventions: SIGTERM lets running jobs finish, then ends everything; SIGQUIT ends them at once and gives
their jobs back to the queue. The pool's processes die with their parent.
"""

import os
import platform
import sys
import warnings

from celery.exceptions import SecurityWarning

from worker.application import limit_threads, worker_app
from worker.host import announcements
from worker.logs import configure_logging
from worker.settings import WorkerSettings


def main(settings: WorkerSettings) -> int:
    """Works until told to stop; returns the exit status.

    Raises
    ------
    TimbrescopeError
        At once, when this machine has no models to serve or a model's card is damaged.
    """
    configure_logging(settings.log_level)
    # Celery warns of every worker that runs as root, for messages could carry code; ours are JSON and
    # carry ids.
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
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(WorkerSettings()))
