"""From a checked form to a queued job.

Conventions: everything that size, headers and parsed structure can tell is decided here. Blocking, for
the thread pool. What only decoding can show is the worker's to find.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from ml.errors import FieldFault, InvalidRequestError, RangeRequiredError, named
from ml.media import MediaInfo, MidiScore, inspect_media, parse_midi
from ml.relevance.methods import method_named
from service.services import Services
from worker.catalog import PublishedModel
from worker.errors import QueueFullError
from worker.ids import new_job_id
from worker.jobs import QUEUE_OF, Job, JobKind
from worker.questions import LONGEST_EXPLAINED_S, JobInput, ModelRef, Parameters

_LONGEST_NAME = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Submission:
    """What a client asks for; `owner` is the id of its key."""

    kind: JobKind
    filename: str | None
    data: bytes
    model_id: str | None
    parameters: Parameters
    owner: str = ""


def submit(services: Services, submission: Submission) -> Job:
    """Checks the request and hands it to the workers.

    Raises
    ------
    TimbrescopeError
        Saying what is wrong with the recording, the parameters or the service; no job is left behind then.
    """
    settings, asked = services.settings, submission.parameters
    require_room(services, submission.kind)
    model = services.catalog.model(submission.model_id or settings.default_model)
    check_way(model, asked)
    info = inspect_media(submission.data, settings.media_limits)
    if submission.kind is JobKind.EXPLAIN:
        check_range(info, asked)
        if info.format == "midi":
            check_notes(parse_midi(submission.data, settings.media_limits), asked)
    job = Job(
        id=new_job_id(),
        kind=submission.kind,
        input=described(submission.filename, submission.data, info),
        model=ModelRef(model.id, model.sha256, model.version),
        parameters=asked,
        created_at=datetime.now(UTC),
        owner=submission.owner,
    )
    services.store.admit(job, submission.data, max_queued=settings.max_queued_interactive)
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


def check_notes(score: MidiScore, asked: Parameters) -> None:
    """Refuses a part of a MIDI file in which nothing is played."""
    start_s = asked.start_s or 0.0
    end_s = score.duration_s if asked.duration_s is None else start_s + asked.duration_s
    if not score.sounds_between(start_s, end_s):
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


def display_name(filename: str | None) -> str:
    """A client's file name made fit to be shown. It is never used as a path."""
    base = re.split(r"[/\\]", filename or "")[-1]
    return _UNPRINTABLE.sub("", base)[:_LONGEST_NAME] or "upload"


def described(filename: str | None, data: bytes, info: MediaInfo) -> JobInput:
    """A recording as its job tells of it."""
    return JobInput(
        filename=display_name(filename),
        sha256=hashlib.sha256(data).hexdigest(),
        format=info.format,
        duration_s=info.duration_s,
        sample_rate_hz=info.sample_rate_hz,
        channels=info.channels,
    )


def fault_of(field: str, message: str) -> InvalidRequestError:
    """The error that names one field and what is wrong with it."""
    fault = FieldFault(field, message)
    return InvalidRequestError(f"{fault}.", extra=named([fault]))
