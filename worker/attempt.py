"""One attempt at a job, from taking it to its end, whatever the work between does.

Conventions: the work is a function of the job and the attempt that returns the result. It reports through
the attempt and is stopped by it: as soon as the job is cancelled or somebody else has taken it over, the
next report raises `AttemptLostError`, which the work lets pass. Work that cannot be done here and now, for
want of something that is not the job's, raises `AttemptGivenBackError`. Whatever else it raises becomes the
job's problem document. While an attempt lasts it holds the job's lease, so that a message that comes twice is
heeded once, and so that a dead attempt is missed.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ml.errors import TimbrescopeError
from worker import tracing, transitions
from worker.artifacts import ArtifactFile, ArtifactStore
from worker.connection import UNAVAILABLE
from worker.errors import (
    AttemptGivenBackError,
    AttemptLostError,
    IllegalTransitionError,
    InternalError,
    JobDeletedError,
    JobExpiredError,
    UnknownJobError,
)
from worker.jobs import Job
from worker.leases import AT, Lease, Leases
from worker.logs import bound
from worker.problems import problem_of
from worker.progress import Progress
from worker.questions import ModelRef
from worker.reports import Along, Reports
from worker.stages import Stages
from worker.store import JobStore

log = logging.getLogger(__name__)

# Reports are written no closer together than this, so that quick steps cost nothing; cancelling is noticed as
# often.
REPORT_INTERVAL_S = 0.1

# More than this of artefacts is not kept back until the job's end.
MOST_TOGETHER_BYTES = 2_000_000

# How long, and how often, an attempt that the store failed tries to say that it does not count.
GIVE_BACK_S = 30.0
GIVE_BACK_EVERY_S = 1.0

ABSENT = (UnknownJobError, JobExpiredError, JobDeletedError)


@dataclass(frozen=True)
class Unfinished:
    """A piece of the work is done; a further message is to bring the next.

    When it `is_shared`, the rest was cut into units (`worker.units`), and all who do them speak as this
    attempt; else the next piece is an attempt of its own.
    """

    is_shared: bool = False


@dataclass(frozen=True)
class Finished:
    """The result of a job that may have been asked to stop, and what to put away once it is recorded."""

    result: dict[str, object]
    was_stopped: bool
    clean_up: Callable[[], None]


@dataclass(frozen=True)
class Delivery:
    """A message as it came: its id, how often a process died of it before, and the process that has it.

    `trace` is the W3C traceparent that it brought along, empty where it brought none.
    """

    id: str
    retries: int = 0
    process: str = ""
    trace: str = ""

    @property
    def holder(self) -> str:
        """Who holds the leases that are taken on behalf of this message."""
        return f"{self.id}:{self.retries}{AT}{self.process}"

    @property
    def successor_of(self) -> str:
        """How the name began of who held them before: its process has died, or this message would not be."""
        return f"{self.id}:{self.retries - 1}{AT}" if self.retries else ""

    @property
    def cause_of_loss(self) -> str:
        """Who was lost if this message's predecessor was: a process of a pool, or a whole worker."""
        return "process" if self.retries else "worker"


Outcome = dict[str, object] | Unfinished | Finished
Work = Callable[[Job, "Attempt"], Outcome]


class Attempt:
    """The right to move one running job on."""

    def __init__(
        self,
        store: JobStore,
        artifacts: ArtifactStore,
        job: Job,
        token: str,
        *,
        interval_s: float = REPORT_INTERVAL_S,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._job_id = job.id
        self._token = token
        self._attempts = job.attempts
        self._files: list[ArtifactFile] = []
        self.stages = Stages(job, store.figures)
        self.reports = Reports(self._write, interval_s)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Reports how far the work is; raises `AttemptLostError` when it is known to be no longer wanted."""
        self.stages.enter(stage)
        self.reports.tell(Progress(stage, done, total))

    def report(self, progress: Progress) -> Job:
        """Reports at once, and tells how the job stands; raises `AttemptLostError` when it is not wanted."""
        self.stages.enter(progress.stage)
        return self.reports.tell_now(progress)

    def _write(self, progress: Progress, told: Sequence[Progress]) -> Job:
        along = Along(told=told, stages=self.stages.take())
        try:
            return self._store.advance(self._job_id, self._token, progress, along)
        except ABSENT as error:
            raise AttemptLostError(str(error)) from error

    def require_wanted(self) -> None:
        """Raises `AttemptLostError` when the work is no longer wanted; asks no more often than `progress`."""
        if not self.reports.are_due:
            return
        self.reports.asked()
        try:
            transitions.require_owner(self._store.get(self._job_id), self._token)
        except ABSENT as error:
            raise AttemptLostError(str(error)) from error

    def try_again(self, max_attempts: int) -> bool:
        """Counts a further attempt, made here and now; False when it would be one too many."""
        if self._attempts >= max_attempts:
            return False
        try:
            self._attempts = self._store.try_again(self._job_id, self._token).attempts
        except ABSENT as error:
            raise AttemptLostError(str(error)) from error
        self._store.figures.count("attempts_lost", cause="decoder")
        return True

    def use_model(self, model: ModelRef) -> None:
        """Records the weights that the result comes from."""
        self._store.use_model(self._job_id, self._token, model)

    def uploads(self) -> tuple[bytes, ...]:
        """The recordings that the job is about."""
        try:
            return self._store.uploads(self._job_id)
        except ABSENT as error:
            raise AttemptLostError(str(error)) from error

    def keep(self, name: str, media_type: str, data: bytes) -> None:
        """Stores an artefact at once, for those who look at the job while it goes on."""
        self._artifacts.put(self._job_id, self._token, name, media_type, data)

    def keep_for_end(self, name: str, media_type: str, data: bytes, sha256: str | None = None) -> None:
        """Stores an artefact by the job's end: small ones together, the last in the same transaction."""
        self._files.append(ArtifactFile.of(name, media_type, data, sha256))
        if sum(file.info.size_bytes for file in self._files) > MOST_TOGETHER_BYTES:
            self._artifacts.put_all(self._job_id, self._token, self._files)
            self._files.clear()

    @property
    def left(self) -> Along:
        """What is to be stored with the job's end, once the work is done."""
        return replace(self.left_unsaid, files=self._files)

    @property
    def left_unsaid(self) -> Along:
        """The same without files, for work that was not done."""
        return Along(told=self.reports.left(), stages=self.stages.take())


def attempt_job(
    job_id: str,
    work: Work,
    *,
    delivery: Delivery,
    store: JobStore,
    artifacts: ArtifactStore,
    leases: Leases,
    max_attempts: int,
) -> bool:
    """Takes the job, does the work, ends the job; whether it is unfinished, and waits for its next message.

    Does nothing for a job that has ended, is gone, or has somebody at work on it.
    """
    if not leases.take(job_id, delivery.holder, successor_of=delivery.successor_of):
        log.info("somebody is at work on it", extra={"job": job_id})
        return False
    with Lease(leases, job_id, delivery.holder) as lease:
        token = secrets.token_hex(16)
        try:
            job = store.begin(job_id, token, max_attempts=max_attempts)
        except (IllegalTransitionError, *ABSENT) as reason:
            lease.is_kept = False
            log.info("nothing to do", extra={"job": job_id, "reason": str(reason)})
            return False
        if job.attempts > 1 or job.status.is_terminal:
            store.figures.count("attempts_lost", cause=delivery.cause_of_loss)
        with observed(job, delivery) as span:
            if job.status.is_terminal:
                log.error("gave up", extra={"attempts": job.attempts})
                return False
            started = time.monotonic()
            log.info("started", extra={"kind": job.kind, "attempt": job.attempts})
            try:
                after = end_with(job, token, work, store=store, artifacts=artifacts)
            except (AttemptLostError, *ABSENT) as reason:
                log.info("stopped", extra={"reason": str(reason)})
                return False
            except UNAVAILABLE:
                _give_back(job_id, token, store)
                store.figures.count("attempts_lost", cause="store")
                raise
            elapsed_s = round(time.monotonic() - started, 3)
            log.info("ended", extra={"status": after.status, "elapsed_s": elapsed_s})
            tell_end(span, after)
        return not after.status.is_terminal


def _give_back(job_id: str, token: str, store: JobStore) -> None:
    """Sees to it that an attempt which the store failed does not count, if the store comes back soon."""
    until = time.monotonic() + GIVE_BACK_S
    while True:
        try:
            store.give_back(job_id, token)
            return
        except UNAVAILABLE:
            if time.monotonic() > until:
                return
            time.sleep(GIVE_BACK_EVERY_S)
        except (AttemptLostError, *ABSENT):
            return


@contextmanager
def observed(job: Job, delivery: Delivery, **more: str) -> Iterator[tracing.Span]:
    """What is logged and traced meanwhile is about this job, and about the request that made it."""
    about: tracing.Attributes = {
        "messaging.system": "celery",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.queue,
        "timbrescope.job.id": job.id,
        "timbrescope.job.kind": job.kind,
        "timbrescope.job.attempt": job.attempts,
        **more,
    }
    parent = delivery.trace or job.trace
    with (
        bound(request=job.request_id, job=job.id),
        tracing.span(f"process {job.kind}", "consumer", parent=parent, attributes=about) as span,
    ):
        yield span


def tell_end(span: tracing.Span, job: Job) -> None:
    """Says in the trace how the job stands after the attempt."""
    span.tell({"timbrescope.job.status": job.status})
    if job.error is not None:
        span.blame(job.error.type)


def end_with(job: Job, token: str, work: Work, *, store: JobStore, artifacts: ArtifactStore) -> Job:
    """Does the work in the name of the job's owner, and ends the job as it turned out."""
    attempt = Attempt(store, artifacts, job, token)
    try:
        return _end(job, token, attempt, work, store)
    finally:
        attempt.stages.send()


def _end(job: Job, token: str, attempt: Attempt, work: Work, store: JobStore) -> Job:
    try:
        with attempt.reports, attempt.stages:
            outcome = work(job, attempt)
    except AttemptLostError:
        raise
    except AttemptGivenBackError as reason:
        log.warning("given back", extra={"job": job.id, "reason": str(reason)})
        return store.give_back(job.id, token)
    except TimbrescopeError as error:
        return store.fail(job.id, token, problem_of(error), attempt.left_unsaid)
    except UNAVAILABLE:
        raise
    except Exception:
        log.exception("fault in a job", extra={"job": job.id})
        fault = InternalError(f"A fault in the service stopped job {job.id}; what was sent is not to blame.")
        return store.fail(job.id, token, problem_of(fault), attempt.left_unsaid)
    if isinstance(outcome, Unfinished):
        if not outcome.is_shared:
            return store.rest(job.id, token, attempt.left_unsaid)
        attempt.reports.flush()
        return store.get(job.id)
    if isinstance(outcome, Finished):
        end = store.stop_early if outcome.was_stopped else store.succeed
        ended = end(job.id, token, outcome.result, attempt.left)
        outcome.clean_up()
        return ended
    return store.succeed(job.id, token, outcome, attempt.left)
