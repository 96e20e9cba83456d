"""From a checked form to a job: queued, or ended at once where the question was answered before.

Conventions: everything that size, headers and parsed structure can tell is decided here. Blocking, for
the thread pool. What only decoding can show is the worker's to find.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from ml.errors import FieldFault, InvalidRequestError, RangeRequiredError, named
from ml.media import MediaInfo
from ml.relevance.methods import method_named
from service.intake.recordings import Upload, described
from service.services import Services
from service.submitting.cached_answers import recalled
from service.submitting.fingerprints import question_fingerprint, request_fingerprint
from service.submitting.idempotent import Made, make_once
from service.submitting.posting import Posting
from service.webhooks.receivers import callback_of
from worker.catalog import PublishedModel
from worker.errors import QueueFullError
from worker.idempotency import Mark
from worker.ids import new_job_id
from worker.jobs import QUEUE_OF, Job, JobKind
from worker.questions import LONGEST_EXPLAINED_S, ModelRef, Parameters


@dataclass(frozen=True)
class Submission:
    """What a client asks for."""

    kind: JobKind
    upload: Upload
    model_id: str | None
    parameters: Parameters
    webhook: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same request (`worker.idempotency`)."""
        fields = {"model": self.model_id, "webhook": self.webhook, **asdict(self.parameters)}
        return request_fingerprint(fields, [self.upload])


def submit(services: Services, posting: Posting, submission: Submission, *, place: int | None = None) -> Made:
    """Checks the request and hands it to the workers, unless that was done before.

    Of a request for several jobs, `place` says which of them this is.

    Raises
    ------
    TimbrescopeError
        Saying what is wrong with the recording, the parameters or the service; no job is left behind then.
    """

    def make(mark: Mark | None) -> Job:
        return _submit(services, posting, submission, mark)

    fingerprint = "" if posting.idempotency_key is None else submission.fingerprint
    return make_once(services, posting, fingerprint, make, place=place)


def _submit(services: Services, posting: Posting, submission: Submission, mark: Mark | None) -> Job:
    asked, upload = submission.parameters, submission.upload
    model = services.catalog.model(submission.model_id or services.settings.default_model)
    check_way(model, asked)
    job = question(
        services,
        posting,
        submission.kind,
        [upload.sha256],
        asked=asked,
        model=model,
        webhook=submission.webhook,
        mark=mark,
    )
    ended = recalled(services, posting, job, [upload], mark)
    if ended is not None:
        return ended
    require_room(services, submission.kind)
    info = services.inspector.inspect(upload.data)
    if submission.kind is JobKind.EXPLAIN:
        check_range(info, asked)
        if info.format == "midi":
            check_notes(services, upload, info, asked)
    return admit(services, replace(job, input=described(upload, info)), [upload], mark)


def question(
    services: Services,
    posting: Posting,
    kind: JobKind,
    sounds: Sequence[str],
    *,
    asked: Parameters,
    model: PublishedModel,
    webhook: str | None,
    mark: Mark | None,
) -> Job:
    """The job that asks this of sounds (`service.submitting.fingerprints`) which nobody has looked at yet."""
    is_kept = services.settings.result_cache and posting.is_kept
    return Job(
        id=new_job_id(),
        kind=kind,
        model=ModelRef(model.id, model.sha256, model.version),
        parameters=asked,
        created_at=datetime.now(UTC),
        owner=posting.owner,
        request_id=posting.request_id,
        trace=posting.trace,
        callback=callback_of(webhook, services.settings.webhook_hosts),
        fingerprint=question_fingerprint(kind, sounds, asked, model) if is_kept else "",
        mark="" if mark is None else mark.name,
    )


def admit(services: Services, job: Job, uploads: Sequence[Upload], mark: Mark | None) -> Job:
    """Stores the job and hands it to the workers; raises when that cannot be, and leaves nothing behind."""
    sounds = (upload.data for upload in uploads)
    services.store.admit(job, *sounds, max_queued=services.settings.max_queued_interactive, mark=mark)
    hand_over(services, job)
    return job


def require_room(services: Services, kind: JobKind) -> None:
    """Refuses at once what the queue would refuse in the end."""
    most = services.settings.max_queued_interactive
    if services.store.queue_depth(QUEUE_OF[kind]) >= most:
        raise QueueFullError(f"{most} jobs wait already; try again later.")


def hand_over(services: Services, job: Job) -> None:
    """Sends an admitted job to the workers, or takes it back and raises."""
    try:
        services.queue.send(job)
    except BaseException:
        services.store.withdraw(job)
        raise


def check_way(model: PublishedModel, asked: Parameters) -> None:
    """Refuses instruments and layers that the model does not have, and methods that there are not."""
    method_named(asked.method)
    model.require_layer(asked.layer)
    instruments = asked.instruments or ()
    model.require_instruments(instruments if asked.contrast is None else (*instruments, asked.contrast))
    if asked.contrast in instruments:
        raise fault_of("contrast", f"{asked.contrast!r} cannot be held against itself")


def check_notes(services: Services, upload: Upload, info: MediaInfo, asked: Parameters) -> None:
    """Refuses a part of a MIDI file in which nothing is played."""
    start_s = asked.start_s or 0.0
    end_s = info.duration_s if asked.duration_s is None else start_s + asked.duration_s
    if not services.inspector.sounds_between(upload.data, start_s, end_s):
        raise fault_of("start_s", f"No note of the MIDI file sounds between {start_s:g} s and {end_s:g} s")


def check_range(info: MediaInfo, asked: Parameters) -> None:
    """Refuses a part of a recording that it does not have, and a long recording of which no part is named."""
    if asked.start_s is not None and asked.start_s >= info.duration_s:
        raise fault_of(
            "start_s", f"{asked.start_s:g} s is not before the recording's end at {info.duration_s:.3f} s"
        )
    is_whole = asked.start_s is None or asked.duration_s is None
    if is_whole and info.duration_s > LONGEST_EXPLAINED_S:
        raise RangeRequiredError(
            f"The recording lasts {info.duration_s:.3f} s; beyond {LONGEST_EXPLAINED_S:g} s, start_s and "
            "duration_s have to say which part to explain.",
            extra={"duration_s": info.duration_s, "longest_s": LONGEST_EXPLAINED_S},
        )


def fault_of(field: str, message: str) -> InvalidRequestError:
    """The error that names one field and what is wrong with it."""
    fault = FieldFault(field, message)
    return InvalidRequestError(f"{fault}.", extra=named([fault]))
