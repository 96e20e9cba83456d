"""For Celery's own command line: `celery -A worker.celery_app worker`, with settings from the environment."""

from worker.application import worker_app
from worker.settings import WorkerSettings

app = worker_app(WorkerSettings())
