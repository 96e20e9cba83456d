"""The Celery application of a worker."""

from celery import Celery

from worker.pool import start_method
from worker.queue import celery_app
from worker.settings import WorkerSettings
from worker.workplace import SETTINGS_KEY


def worker_app(settings: WorkerSettings) -> Celery:
    """The application of a worker with these settings."""
    app = celery_app(settings)
    app.conf.update(
        include=["worker.tasks"],
        worker_concurrency=settings.concurrency,
        worker_pool_start_method=start_method(settings),
        # One delivery more than attempts: it is the one that ends a job whose every attempt died.
        task_annotations={"*": {"max_retries": settings.max_attempts}},
    )
    app.conf[SETTINGS_KEY] = settings.model_dump_json()
    return app
