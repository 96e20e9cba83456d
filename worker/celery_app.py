"""For Celery's own command line: `celery -A worker.celery_app worker`, with settings from the environment."""

from worker.application import worker_app
from worker.logs import configure_logging
from worker.settings import WorkerSettings

settings = WorkerSettings()
configure_logging(settings.log_level, settings.log_format)
app = worker_app(settings)
