"""The Celery tasks: a message's job id in, the job's end in the store, nothing returned.

Conventions: importing this module is cheap, because the parent process of a worker does it too; what
computes (`worker.work`, torch) is imported by the pool's processes alone, once, as they start. A task whose
process dies is sent again by Celery until its retries are used up; the store counts the attempts, and the
delivery after the last allowed one ends the job instead of starting it. A process that overruns the hard
time limit is killed by Celery; the parent then ends the job in its place.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from billiard.exceptions import WorkerLostError as ProcessDied
from celery import Task, current_app, shared_task
from celery.exceptions import TimeLimitExceeded
from celery.signals import setup_logging, task_failure, worker_process_init, worker_process_shutdown
from redis import Redis

from ml.errors import TimbrescopeError
from worker.artifacts import ArtifactStore
from worker.attempt import ABSENT, Attempt, attempt_job
from worker.catalog import Catalog
from worker.connection import UNAVAILABLE, connect
from worker.errors import IllegalTransitionError, TimeLimitError, WorkerLostError
from worker.host import ModelHost, announcements
from worker.jobs import Job, JobKind
from worker.logs import configure_logging
from worker.presence import Presence, process_name
from worker.problems import problem_of
from worker.queue import TASK_OF
from worker.settings import WorkerSettings
from worker.store import JobStore, Lifetimes

log = logging.getLogger(__name__)

# The settings travel to the pool's processes within Celery's own configuration, under this name.
SETTINGS_KEY = "timbrescope_settings"
# How often a worker asks Redis again before it gives something up, and after how long it is tried again.
PATIENCE = 8
RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Workplace:
    """What one pool process works with."""

    settings: WorkerSettings
    redis: Redis
    host: ModelHost
    presence: Presence

    @property
    def store(self) -> JobStore:
        """The records of jobs."""
        return job_store(self.redis, self.settings)


@cache
def workplace() -> Workplace:
    """This process's workplace, with the default model loaded."""
    settings = worker_settings()
    host = ModelHost(settings)
    presence = Presence(Catalog(connect(settings.redis_url)), process_name(), announcements(settings))
    return Workplace(settings, connect(settings.redis_url, patience=PATIENCE), host, presence)


def worker_settings() -> WorkerSettings:
    """The settings that this worker was started with."""
    return WorkerSettings.model_validate_json(current_app.conf[SETTINGS_KEY])


def job_store(redis: Redis, settings: WorkerSettings) -> JobStore:
    """The store as these settings want it."""
    return JobStore(
        redis, Lifetimes(settings.result_ttl_s, settings.tombstone_ttl_s, settings.unfinished_ttl_s)
    )


@setup_logging.connect(weak=False)
def log_as_everywhere(loglevel: int, **_: object) -> None:
    """Takes the place of Celery's own logging, in the parent and in the pool's processes."""
    configure_logging(loglevel)


@worker_process_init.connect(weak=False)
def prepare_process(**_: object) -> None:
    """Loads the default model and tries it out before the first job comes, then says that it is ready."""
    from worker.work import warm_up

    here = workplace()
    warm_up(here.host.model(here.settings.default_model))
    here.presence.start()


@worker_process_shutdown.connect(weak=False)
def leave_process(**_: object) -> None:
    """Says that this process is no longer there, if it ever was ready."""
    if workplace.cache_info().currsize:
        workplace().presence.stop()


@shared_task(bind=True, name=TASK_OF[JobKind.CLASSIFY], default_retry_delay=0)
def classify(self: "Task[[str], None]", job_id: str) -> None:
    """Does a classify job."""
    _do(self, job_id)


@shared_task(bind=True, name=TASK_OF[JobKind.EXPLAIN], default_retry_delay=0)
def explain(self: "Task[[str], None]", job_id: str) -> None:
    """Does an explain job."""
    _do(self, job_id)


def _do(task: "Task[[str], None]", job_id: str) -> None:
    here = workplace()
    try:
        attempt_job(
            job_id,
            _work,
            store=here.store,
            artifacts=ArtifactStore(here.redis),
            max_attempts=here.settings.max_attempts,
        )
    except UNAVAILABLE as error:
        log.warning("the store went away", extra={"job": job_id, "error": str(error)})
        raise task.retry(exc=error, countdown=RETRY_AFTER_S, max_retries=None) from error


def _work(job: Job, attempt: Attempt) -> dict[str, object]:
    from worker.work import WORK

    here = workplace()
    try:
        return WORK[job.kind](job, attempt, here.host, here.settings)
    except BaseException:
        here.host.forget()
        raise


@task_failure.connect(weak=False)
def end_in_its_place(exception: BaseException, args: Sequence[str], **_: object) -> None:
    """In the parent: ends the job of a process that was killed and will not be started again."""
    if isinstance(exception, TimeLimitExceeded):
        cause: TimbrescopeError = TimeLimitError(
            "The job took longer than any job may take, and was stopped."
        )
    elif isinstance(exception, ProcessDied):
        cause = WorkerLostError("The process that worked on this job died every time.")
    else:
        return
    settings = worker_settings()
    (job_id,) = args
    try:
        job_store(connect(settings.redis_url, patience=PATIENCE), settings).abandon(job_id, problem_of(cause))
    except (IllegalTransitionError, *ABSENT) as reason:
        log.info("nothing to end", extra={"job": job_id, "reason": str(reason)})
