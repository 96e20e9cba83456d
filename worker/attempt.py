"""One attempt at a job, from taking it to its end, whatever the work between does.

Conventions: the work is a function of the job and the attempt that returns the result. It reports through
the attempt and is stopped by it: as soon as the job is cancelled or somebody else has taken it over, the
next report raises `AttemptLostError`, which the work lets pass. Whatever else it raises becomes the job's
problem document.
"""

import logging
import secrets
import time
from collections.abc import Callable

from ml.errors import TimbrescopeError
from worker.artifacts import ArtifactStore
from worker.connection import UNAVAILABLE
from worker.errors import (
    AttemptLostError,
    IllegalTransitionError,
    InternalError,
    JobDeletedError,
    JobExpiredError,
    UnknownJobError,
)
from worker.jobs import Job, ModelRef, Progress
from worker.problems import problem_of
from worker.store import JobStore

log = logging.getLogger(__name__)

# Reports closer together than this are not written, so that quick steps cost nothing; cancelling is
# noticed as often.
REPORT_INTERVAL_S = 0.1

ABSENT = (UnknownJobError, JobExpiredError, JobDeletedError)

Work = Callable[[Job, "Attempt"], dict[str, object]]


class Attempt:
    """The right to move one running job on."""

    def __init__(self, store: JobStore, artifacts: ArtifactStore, job: Job, token: str) -> None:
        self._store = store
        self._artifacts = artifacts
        self._job_id = job.id
        self._token = token
        self._stage = job.progress.stage
        self._reported_at = 0.0

    def progress(self, stage: str, done: int, total: int) -> None:
        """Reports how far the work is; raises `AttemptLostError` when it is no longer wanted."""
        now = time.monotonic()
        is_new = stage != self._stage or done >= total
        if not is_new and now - self._reported_at < REPORT_INTERVAL_S:
            return
        self._stage, self._reported_at = stage, now
        try:
            self._store.advance(self._job_id, self._token, Progress(stage, done, total))
        except ABSENT as error:
            raise AttemptLostError(str(error)) from error

    def use_model(self, model: ModelRef) -> None:
        """Records the weights that the result comes from."""
        self._store.use_model(self._job_id, self._token, model)

    def upload(self) -> bytes:
        """The recording that the job is about."""
        try:
            return self._store.upload(self._job_id)
        except ABSENT as error:
            raise AttemptLostError(str(error)) from error

    def keep(self, name: str, media_type: str, data: bytes) -> None:
        """Stores an artefact."""
        self._artifacts.put(self._job_id, self._token, name, media_type, data)


def attempt_job(
    job_id: str, work: Work, *, store: JobStore, artifacts: ArtifactStore, max_attempts: int
) -> None:
    """Takes the job, does the work, ends the job. Does nothing for a job that has ended or is gone."""
    token = secrets.token_hex(16)
    try:
        job = store.begin(job_id, token, max_attempts=max_attempts)
    except (IllegalTransitionError, *ABSENT) as reason:
        log.info("nothing to do", extra={"job": job_id, "reason": str(reason)})
        return
    if job.status.is_terminal:
        log.error("gave up", extra={"job": job_id, "attempts": job.attempts})
        return
    started = time.monotonic()
    log.info("started", extra={"job": job_id, "kind": job.kind, "attempt": job.attempts})
    try:
        ended = _end(job, token, work, store=store, artifacts=artifacts)
    except (AttemptLostError, *ABSENT) as reason:
        log.info("stopped", extra={"job": job_id, "reason": str(reason)})
        return
    elapsed_s = round(time.monotonic() - started, 3)
    log.info("ended", extra={"job": job_id, "status": ended.status, "elapsed_s": elapsed_s})


def _end(job: Job, token: str, work: Work, *, store: JobStore, artifacts: ArtifactStore) -> Job:
    try:
        result = work(job, Attempt(store, artifacts, job, token))
    except AttemptLostError:
        raise
    except TimbrescopeError as error:
        return store.fail(job.id, token, problem_of(error))
    except UNAVAILABLE:
        raise
    except Exception:
        log.exception("fault in a job", extra={"job": job.id})
        fault = InternalError(f"A fault in the service stopped job {job.id}; the recording is not to blame.")
        return store.fail(job.id, token, problem_of(fault))
    return store.succeed(job.id, token, result)
