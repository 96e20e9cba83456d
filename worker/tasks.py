"""The Celery tasks: a message's job id in, the job's end in the store, nothing returned.

Conventions: importing this module is cheap, because whoever sends tasks may do it too; what computes
(`worker.work` and its like, torch) is imported as a worker starts, see `worker.pool`. A
task whose process dies is sent again by Celery until its retries are used up, then, like one whose worker
dies whole, by the reaper; the store counts the attempts, and the delivery after the last allowed one ends the
job instead of starting it. A process that overruns the hard time limit is killed by Celery; the parent then
ends the job in its place.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any

from celery import Task, shared_task
from celery.exceptions import TimeLimitExceeded
from celery.signals import (
    celeryd_after_setup,
    setup_logging,
    task_failure,
    worker_process_init,
    worker_process_shutdown,
)

from ml.errors import TimbrescopeError
from ml.media import MediaError
from ml.sandbox import SandboxError
from worker import tracing
from worker.attempt import ABSENT, Attempt, Delivery, Outcome
from worker.connection import UNAVAILABLE, connect
from worker.errors import (
    AttemptGivenBackError,
    IllegalTransitionError,
    InternalError,
    StoreUnavailableError,
    TimeLimitError,
)
from worker.jobs import Job, JobKind
from worker.leases import Leases
from worker.logs import bound, configure_logging
from worker.pool import keep_compiled, make_ready_to_fork, needs_warm_up, start_method
from worker.presence import process_name
from worker.problems import problem_of
from worker.queue import REFERENCE_TASK, TASK_OF, TRACE_HEADER
from worker.references import from_message
from worker.workplace import PATIENCE, Workplace, job_store, worker_settings, workplace

log = logging.getLogger(__name__)

JobTask = Task[[str], None]
ReferenceTask = Task[[dict[str, Any]], None]


@setup_logging.connect(weak=False)
def log_as_everywhere(loglevel: int, **_: object) -> None:
    """Takes the place of Celery's own logging. Processes of the pool learn their settings a little later."""
    if not logging.getLogger().handlers:
        configure_logging(loglevel)


@celeryd_after_setup.connect(weak=False)
def prepare_parent(**_: object) -> None:
    """Before there are processes: Celery's ways with the pool's log are undone, what is shared imported."""
    settings = worker_settings()
    configure_logging(settings.log_level, settings.log_format)
    os.environ.pop("_MP_FORK_LOGLEVEL_", None)  # processes would log in its way until they know this one
    keep_compiled(settings)
    if start_method(settings) == "fork":
        make_ready_to_fork(settings)


@worker_process_init.connect(weak=False)
def prepare_process(**_: object) -> None:
    """Loads the default model and tries it out before the first job comes, then says that it is ready."""
    settings = worker_settings()
    configure_logging(settings.log_level, settings.log_format)
    tracing.start("timbrescope-worker")
    here = workplace()
    if needs_warm_up(settings):
        from worker.work import warm_up

        warm_up(here.host.default)
    here.host.remember_published()
    here.presence.start()
    here.reaper.start()


@worker_process_shutdown.connect(weak=False)
def leave_process(**_: object) -> None:
    """Says that this process is no longer there, if it ever was ready."""
    if workplace.cache_info().currsize:
        workplace().reaper.stop()
        workplace().presence.stop()
    tracing.stop()


@shared_task(bind=True, name=TASK_OF[JobKind.CLASSIFY], default_retry_delay=0)
def classify(self: JobTask, job_id: str) -> None:
    """Does a classify job."""
    _do(self, job_id)


@shared_task(bind=True, name=TASK_OF[JobKind.EXPLAIN], default_retry_delay=0)
def explain(self: JobTask, job_id: str) -> None:
    """Does an explain job."""
    _do(self, job_id)


@shared_task(bind=True, name=TASK_OF[JobKind.CHECK], default_retry_delay=0)
def check(self: JobTask, job_id: str) -> None:
    """Does a check job."""
    _do(self, job_id)


@shared_task(bind=True, name=TASK_OF[JobKind.TRAINING], default_retry_delay=0)
def training(self: JobTask, job_id: str) -> None:
    """Does a piece of a training job."""
    _do(self, job_id)


@shared_task(bind=True, name=TASK_OF[JobKind.DATASET], default_retry_delay=0)
def dataset(self: JobTask, job_id: str) -> None:
    """Does a step of a data set job: its plan, a shard, or its end."""
    _do(self, job_id)


@shared_task(bind=True, name=REFERENCE_TASK, default_retry_delay=0)
def reference(self: ReferenceTask, message: dict[str, Any]) -> None:
    """Renders a concept's reference; who asked for it is told of whatever goes wrong."""
    here, wanted = workplace(), from_message(message)
    if not here.references.is_asked(wanted):
        return  # it is there already, or nobody waits any more
    from worker.rendering import render

    try:
        here.references.fill(wanted, render(wanted, here))
    except TimbrescopeError as error:
        here.references.fail(wanted, problem_of(error))
    except UNAVAILABLE as error:
        log.warning("the store went away", extra={"reference": wanted.name, "error": str(error)})
    except Exception:
        log.exception("fault while rendering", extra={"reference": wanted.name})
        here.host.forget()
        fault = InternalError("A fault in the service; its log says more.")
        here.references.fail(wanted, problem_of(fault))


def _do(task: JobTask, job_id: str) -> None:
    here = workplace()
    trace = str((task.request.headers or {}).get(TRACE_HEADER, ""))
    delivery = Delivery(str(task.request.id), task.request.retries, process_name(), trace)
    with bound(job=job_id):
        _do_delivered(task, job_id, delivery, here)


def _do_delivered(task: JobTask, job_id: str, delivery: Delivery, here: Workplace) -> None:
    try:
        if task.name == TASK_OF[JobKind.DATASET]:
            from worker.datasets import dataset_step

            n_more = dataset_step(job_id, delivery, here)
        else:
            n_more = int(here.attempt(job_id, _work, delivery))
        if n_more:
            here.queue.send_on(here.store.get(job_id), times=n_more)
    except (StoreUnavailableError, *UNAVAILABLE) as error:
        # Nothing that is said now would be heard; the reaper misses the job once its lease has lapsed.
        log.warning("the store went away", extra={"job": job_id, "error": str(error)})
    except ABSENT as reason:
        log.info("no more to do", extra={"job": job_id, "reason": str(reason)})


def _work(job: Job, attempt: Attempt) -> Outcome:
    from worker.work import WORK

    here = workplace()
    try:
        return WORK[job.kind](job, attempt, here)
    except (MediaError, SandboxError, AttemptGivenBackError):
        raise  # no model has seen anything of the recording
    except BaseException:
        here.host.forget()
        raise


@task_failure.connect(weak=False)
def end_in_its_place(
    sender: JobTask, task_id: str, exception: BaseException, args: Sequence[str], **_: object
) -> None:
    """In the parent: ends the job of a process that was stopped because it took too long.

    Not if somebody else has the job by now. Where a process died, the job is left to the reaper: the store
    alone knows how many attempts have failed.
    """
    if sender.name == REFERENCE_TASK or not isinstance(exception, TimeLimitExceeded):
        return  # whoever still wants a reference asks again
    cause = TimeLimitError("The job took longer than any job may take, and was stopped.")
    settings = worker_settings()
    redis = connect(settings.redis_url, patience=PATIENCE)
    (job_id,) = args
    try:
        if sender.name != TASK_OF[JobKind.DATASET] and not Leases(redis).is_held_for(job_id, task_id):
            log.info("somebody else has it", extra={"job": job_id})
            return
        store = job_store(redis, settings)
        store.figures.count("attempts_lost", cause="time-limit")
        store.abandon(job_id, problem_of(cause))
    except (IllegalTransitionError, *ABSENT) as reason:
        log.info("nothing to end", extra={"job": job_id, "reason": str(reason)})
