"""The legal transitions of a job's record: pure functions, no Redis.

Conventions: each returns a new `Job` or raises. An attempt at a job is known by its token: only the attempt
whose token the record holds may move a running job on, so that of two workers with the same message one is
heard. A job whose work comes in pieces runs on between them without an owner.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from worker.errors import AttemptLostError, IllegalTransitionError
from worker.jobs import FOLLOWERS, Job, JobStatus
from worker.problems import Problem
from worker.progress import Progress
from worker.questions import ModelRef


def repeat(job: Job, earlier: Job, now: datetime) -> Job:
    """The job asks what an earlier one has answered: it ends at once with that result, all links its own."""
    return replace(
        job,
        status=JobStatus.SUCCEEDED,
        started_at=now,
        finished_at=now,
        progress=earlier.progress,
        result=None if earlier.result is None else _relinked(earlier.result, earlier.path, job.path),
        cached=True,
        generation=earlier.generation + 1,
    )


def _relinked(value: Any, old_path: str, new_path: str) -> Any:
    if isinstance(value, dict):
        return {name: _relinked(member, old_path, new_path) for name, member in value.items()}
    if isinstance(value, list):
        return [_relinked(member, old_path, new_path) for member in value]
    if isinstance(value, str) and value.startswith(f"{old_path}/"):
        return new_path + value.removeprefix(old_path)
    return value


def begin(job: Job, token: str, now: datetime) -> Job:
    """A new attempt takes the job; an older attempt, if there is one, loses it."""
    _check(job, JobStatus.RUNNING)
    goes_on = job.status is JobStatus.RUNNING and job.attempts == 0
    return replace(
        job,
        status=JobStatus.RUNNING,
        started_at=job.started_at if goes_on else now,
        attempts=job.attempts + 1,
        attempt_token=token,
        progress=job.progress if goes_on else Progress("starting", 0, 0, metrics=job.progress.metrics),
    )


def advance(job: Job, token: str, progress: Progress) -> Job:
    """The attempt says how far it is; what comes late never takes back what was told before it."""
    require_owner(job, token)
    last = job.progress
    if progress.stage == last.stage and progress.done < last.done and progress.metrics is None:
        return job
    return replace(job, progress=replace(progress, metrics=progress.metrics or last.metrics))


def rest(job: Job, token: str) -> Job:
    """The attempt has done a piece of the work; the next piece is anybody's, and starts counting anew."""
    require_owner(job, token)
    return replace(job, attempts=0, attempt_token=None)


def try_again(job: Job, token: str) -> Job:
    """The attempt failed at something that may go well the next time, and goes on as the next attempt."""
    require_owner(job, token)
    return replace(job, attempts=job.attempts + 1)


def give_back(job: Job, token: str) -> Job:
    """The attempt was kept from its work by something that is no fault of the job's, and does not count."""
    require_owner(job, token)
    return replace(job, attempts=job.attempts - 1, attempt_token=None)


def ask_to_stop(job: Job) -> Job:
    """Somebody wants no more than what is there: whoever works on the job makes that whole and ends it."""
    _check(job, JobStatus.CANCELLED)
    return replace(job, stopping=True)


def use_model(job: Job, token: str, model: ModelRef) -> Job:
    """The attempt says which weights it computes with, should they differ from those announced.

    What it finds out then is not the answer to the question that was asked of those.
    """
    require_owner(job, token)
    return replace(job, model=model, fingerprint="")


def succeed(job: Job, token: str, result: dict[str, object], now: datetime) -> Job:
    """The attempt ends the job with a result."""
    require_owner(job, token)
    return replace(
        job,
        status=JobStatus.SUCCEEDED,
        result=result,
        finished_at=now,
        attempt_token=None,
        progress=replace(job.progress, done=job.progress.total, left_s=None),
    )


def stop_early(job: Job, token: str, result: dict[str, object], now: datetime) -> Job:
    """The attempt ends a job that was asked to stop, with what there is."""
    require_owner(job, token)
    return replace(
        job, status=JobStatus.CANCELLED, result=result, finished_at=now, attempt_token=None, stopping=False
    )


def fail(job: Job, token: str, problem: Problem, now: datetime) -> Job:
    """The attempt ends the job with a problem."""
    require_owner(job, token)
    return abandon(job, problem, now)


def abandon(job: Job, problem: Problem, now: datetime) -> Job:
    """The job ends with a problem although no attempt lives to say so."""
    _check(job, JobStatus.FAILED)
    return replace(job, status=JobStatus.FAILED, error=problem, finished_at=now, attempt_token=None)


def cancel(job: Job, now: datetime) -> Job:
    """Somebody no longer wants the job."""
    _check(job, JobStatus.CANCELLED)
    return replace(job, status=JobStatus.CANCELLED, finished_at=now, attempt_token=None)


def require_owner(job: Job, token: str) -> None:
    """Raises `AttemptLostError` unless the attempt may move the job on."""
    if job.status is not JobStatus.RUNNING or job.attempt_token != token:
        raise AttemptLostError(f"Job {job.id} is {job.status} and no longer belongs to attempt {token}.")


def _check(job: Job, following: JobStatus) -> None:
    if following not in FOLLOWERS[job.status]:
        raise IllegalTransitionError(f"Job {job.id} is {job.status} and cannot become {following}.")
