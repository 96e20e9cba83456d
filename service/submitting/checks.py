"""From a checked form with the stems of a mix to a queued job.

Conventions: as in `service.submitting.submission`. The mix is the sum of the stems, so they have to go
together: one length, one sample rate. Both are compared as the files' headers state them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from ml.errors import TimbrescopeError
from ml.media import MediaInfo, TooManyBytesError, UnsupportedFormatError
from service.intake.recordings import Upload, described, display_name
from service.services import Services
from service.submitting.cached_answers import recalled
from service.submitting.fingerprints import request_fingerprint
from service.submitting.idempotent import Made, make_once
from service.submitting.posting import Posting
from service.submitting.submission import admit, check_way, fault_of, question, require_room
from worker.idempotency import Mark
from worker.jobs import Job, JobKind
from worker.questions import LONGEST_EXPLAINED_S, MAX_STEMS, Parameters, StemInput


@dataclass(frozen=True)
class CheckSubmission:
    """What a client asks for; the instruments are in the order of the stems."""

    stems: tuple[Upload, ...]
    instruments: tuple[str, ...]
    model_id: str | None
    parameters: Parameters
    webhook: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same request (`worker.idempotency`)."""
        named = {"model": self.model_id, "instrument": self.instruments, "webhook": self.webhook}
        fields = {**named, **asdict(self.parameters)}
        return request_fingerprint(fields, self.stems)


def submit_check(services: Services, posting: Posting, submission: CheckSubmission) -> Made:
    """Checks the request and hands it to the workers, unless that was done before.

    Raises
    ------
    TimbrescopeError
        Saying what is wrong with a stem, the parameters or the service; no job is left behind then.
    """

    def make(mark: Mark | None) -> Job:
        return _submit(services, posting, submission, mark)

    return make_once(services, posting, submission.fingerprint, make)


def _submit(services: Services, posting: Posting, submission: CheckSubmission, mark: Mark | None) -> Job:
    settings, stems = services.settings, submission.stems
    model = services.catalog.model(submission.model_id or settings.default_model)
    check_way(model, submission.parameters)
    _require_pairs(submission)
    model.require_instruments(submission.instruments)
    _require_size(stems, settings.max_upload_bytes)
    sounds = [f"{name}: {stem.sha256}" for name, stem in zip(submission.instruments, stems, strict=True)]
    job = question(
        services,
        posting,
        JobKind.CHECK,
        sounds,
        asked=submission.parameters,
        model=model,
        webhook=submission.webhook,
        mark=mark,
    )
    ended = recalled(services, posting, job, stems, mark)
    if ended is not None:
        return ended
    require_room(services, JobKind.CHECK)
    infos = [_inspected(services, at, stem) for at, stem in enumerate(stems)]
    _require_alike(stems, infos)
    pairs = zip(submission.instruments, stems, infos, strict=True)
    inputs = tuple(StemInput(name, described(stem, info)) for name, stem, info in pairs)
    return admit(services, replace(job, stems=inputs), stems, mark)


def _require_pairs(submission: CheckSubmission) -> None:
    n_stems, n_instruments = len(submission.stems), len(submission.instruments)
    if n_stems > MAX_STEMS:
        raise fault_of("stem", f"There are {n_stems} stems; at most {MAX_STEMS} can be told apart")
    if n_stems != n_instruments:
        raise fault_of(
            "instrument", f"There are {n_stems} stems and {n_instruments} instruments; each stem has one"
        )


def _require_size(stems: Sequence[Upload], max_bytes: int) -> None:
    n_bytes = sum(len(stem.data) for stem in stems)
    if n_bytes > max_bytes:
        raise TooManyBytesError(
            f"The stems have {n_bytes} bytes together; the limit is {max_bytes}.",
            extra={"n_bytes": n_bytes, "max_bytes": max_bytes},
        )


def _inspected(services: Services, at: int, stem: Upload) -> MediaInfo:
    """What a stem is; what is wrong with it says which one it is."""
    try:
        info = services.inspector.inspect(stem.data)
        if info.format == "midi":
            raise UnsupportedFormatError(
                "A MIDI file holds notes and no samples: send each stem as audio, or the whole MIDI file to "
                "/explain, which knows its stems."
            )
    except TimbrescopeError as error:
        raise type(error)(f"{_name(at, stem)}: {error}", extra=error.extra) from error
    if info.duration_s > LONGEST_EXPLAINED_S:
        raise fault_of(
            f"stem.{at}",
            f"{_name(at, stem)} lasts {info.duration_s:.3f} s; {LONGEST_EXPLAINED_S:g} s are the most",
        )
    return info


def _require_alike(stems: Sequence[Upload], infos: Sequence[MediaInfo]) -> None:
    first = infos[0]
    for at, info in enumerate(infos):
        if _shape(info) != _shape(first):
            raise fault_of(
                f"stem.{at}",
                f"{_name(at, stems[at])} has {_words(info)}, but {_name(0, stems[0])} has {_words(first)}: "
                "the stems of a mix are of one length and sample rate",
            )


def _shape(info: MediaInfo) -> tuple[int, int]:
    rate_hz = info.sample_rate_hz or 0
    return rate_hz, round(info.duration_s * rate_hz)


def _words(info: MediaInfo) -> str:
    rate_hz, n_samples = _shape(info)
    return f"{n_samples} samples at {rate_hz} Hz"


def _name(at: int, stem: Upload) -> str:
    return f"Stem {at + 1} ({display_name(stem.filename)!r})"
