"""The Celery application of a worker, and the announcement that it is there.

Conventions: a worker announces itself (`worker.catalog`) as soon as one of its processes has loaded the
default model, renews that from its parent process while its event loop turns, and takes it back when it
stops.
"""

import logging
import os
from typing import Any

from celery import Celery, bootsteps

from worker.catalog import HEARTBEAT_S, Catalog, PublishedModel
from worker.connection import UNAVAILABLE, connect
from worker.host import announcements
from worker.queue import celery_app
from worker.settings import WorkerSettings
from worker.tasks import SETTINGS_KEY, worker_settings

log = logging.getLogger(__name__)


def worker_app(settings: WorkerSettings) -> Celery:
    """The application of a worker with these settings."""
    app = celery_app(settings)
    app.conf.update(
        include=["worker.tasks"],
        worker_concurrency=settings.concurrency,
        # One delivery more than attempts: it is the one that ends a job whose every attempt died.
        task_annotations={"*": {"max_retries": settings.max_attempts}},
    )
    app.conf[SETTINGS_KEY] = settings.model_dump_json()
    app.steps["worker"].add(Presence)
    return app


class Presence(bootsteps.StartStopStep):
    """Keeps the announcement of this worker alive."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker: Any) -> None:
        """Offers the models at once, and begins to renew the announcement."""
        settings = worker_settings()
        self._name: str = worker.hostname
        self._models: tuple[PublishedModel, ...] = announcements(settings)
        self._catalog = Catalog(connect(settings.redis_url))
        self._beat()
        self._timer = worker.timer.call_repeatedly(HEARTBEAT_S, self._beat)

    def stop(self, worker: Any) -> None:
        """Takes the announcement back."""
        self._timer.cancel()
        try:
            self._catalog.withdraw(self._name)
        except UNAVAILABLE as error:
            log.warning("could not take the announcement back", extra={"error": str(error)})

    def terminate(self, worker: Any) -> None:
        """The same when it stops in haste."""
        self.stop(worker)

    def _beat(self) -> None:
        try:
            self._catalog.renew(self._name, self._models)
        except UNAVAILABLE as error:
            log.warning("could not renew the announcement", extra={"error": str(error)})


def limit_threads(threads: int) -> None:
    """Holds the numeric libraries of processes yet to be started to this many threads each."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)
