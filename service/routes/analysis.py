"""`POST /classify`, `POST /explain` and `POST /explain/check`: sound in, a job out; with `Prefer: wait` the
finished job.
"""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.responses import Response

from service.access import INFER_ONLY
from service.answering.answers import job_answer, job_answers
from service.documents import examples
from service.documents.documentation import problems
from service.documents.schemas import JobDocument
from service.intake.forms import (
    CHECK_LIMITS,
    FORM_LIMITS,
    CheckForm,
    ClassifyForm,
    ExplainForm,
    FieldsGivenOnce,
)
from service.intake.recordings import Upload
from service.intake.upload_places import with_upload
from service.intake.uploads import UploadRoute
from service.rates import ONE_JOB
from service.services import Provided, Services
from service.submitting.checks import CheckSubmission, submit_check
from service.submitting.idempotent import Made
from service.submitting.posting import Asked, Posting
from service.submitting.submission import Submission, submit
from worker.jobs import JobKind

log = logging.getLogger(__name__)

router = APIRouter(tags=["analysis"], route_class=UploadRoute, dependencies=[INFER_ONLY])

PROBLEMS = {
    "no_key": examples.NO_KEY,
    "wrong_scope": examples.WRONG_SCOPE,
    "rate_limited": examples.RATE_LIMITED,
    "key_in_flight": examples.KEY_IN_FLIGHT,
    "key_reused": examples.KEY_REUSED,
    "bad_body": examples.BAD_BODY,
    "too_long": examples.TOO_LONG,
    "unknown_format": examples.UNKNOWN_FORMAT,
    "decoder_died": examples.DECODER_DIED,
    "decoder_busy": examples.DECODER_BUSY,
    "unknown_model": examples.UNKNOWN_MODEL,
    "store_unavailable": examples.STORE_UNAVAILABLE,
    "no_worker": examples.NOT_READY,
}
WAY_PROBLEMS = {
    "unknown_instrument": examples.UNKNOWN_INSTRUMENT,
    "unknown_method": examples.UNKNOWN_METHOD,
    "unknown_layer": examples.UNKNOWN_LAYER,
}
_EXPLAINED = {"audio": "audio.wav", "overview": "overview.png"}


@router.post(
    "/classify",
    status_code=202,
    response_model=JobDocument,
    responses={
        **job_answers(ended=examples.JOB_SUCCEEDED, queued=examples.JOB_QUEUED),
        **problems(**PROBLEMS),
    },
    form_limits=FORM_LIMITS,
    dependencies=[Depends(FieldsGivenOnce(ClassifyForm)), ONE_JOB],
    summary="Say which instruments play",
)
async def classify(
    form: Annotated[ClassifyForm, Form(media_type="multipart/form-data")],
    services: Provided,
    posting: Asked,
) -> Response:
    """Takes a recording and says which instruments play in it, over all and in every window of five
    seconds.
    """
    return await _analyse(services, posting, JobKind.CLASSIFY, form)


@router.post(
    "/explain",
    status_code=202,
    response_model=JobDocument,
    responses={
        **job_answers(ended=examples.JOB_SUCCEEDED, queued=examples.JOB_QUEUED, **_EXPLAINED),
        **problems(**PROBLEMS, **WAY_PROBLEMS),
    },
    form_limits=FORM_LIMITS,
    dependencies=[Depends(FieldsGivenOnce(ExplainForm)), ONE_JOB],
    summary="Say which instruments play, and show why",
)
async def explain(
    form: Annotated[ExplainForm, Form(media_type="multipart/form-data")],
    services: Provided,
    posting: Asked,
) -> Response:
    """Takes a recording, says which instruments play in it, and maps the evidence for each over frequency
    and time.

    With nothing found, the list of explanations is empty. A recording longer than a minute needs
    `start_s` and `duration_s`. The stems of a MIDI file are known, so its maps are scored against the truth.
    """
    return await _analyse(services, posting, JobKind.EXPLAIN, form)


@router.post(
    "/explain/check",
    status_code=202,
    response_model=JobDocument,
    responses={
        **job_answers(ended=examples.CHECK_SUCCEEDED, queued=examples.CHECK_QUEUED, **_EXPLAINED),
        **problems(**PROBLEMS, **WAY_PROBLEMS, different_stems=examples.DIFFERENT_STEMS),
    },
    form_limits=CHECK_LIMITS,
    dependencies=[Depends(FieldsGivenOnce(CheckForm)), ONE_JOB],
    summary="Score maps against the stems of a mix",
)
async def check(
    form: Annotated[CheckForm, Form(media_type="multipart/form-data")],
    services: Provided,
    posting: Asked,
) -> Response:
    """Takes the stems of a mix, each with its instrument, explains their sum, and says how true the maps are.

    Every instrument that has a stem is explained, found or not. The `quality` of its map says how much of it
    lies where the stem does, and how that agrees with what the stem does to the decision.
    """
    made = await with_upload(_submit_check, services, posting, form)
    return await job_answer(services, posting, made)


async def _analyse(
    services: Services, posting: Posting, kind: JobKind, form: ClassifyForm | ExplainForm
) -> Response:
    made = await with_upload(_submit, services, posting, kind, form)
    return await job_answer(services, posting, made)


def _submit(services: Services, posting: Posting, kind: JobKind, form: ClassifyForm | ExplainForm) -> Made:
    upload = Upload(form.file.filename, form.file.file.read())
    submission = Submission(kind, upload, form.model, form.parameters(), form.webhook)
    made = submit(services, posting, submission)
    log.info("accepted", extra={"job": made.job.id, "kind": made.job.kind, "size": len(upload.data)})
    return made


def _submit_check(services: Services, posting: Posting, form: CheckForm) -> Made:
    submission = CheckSubmission(
        stems=tuple(Upload(stem.filename, stem.file.read()) for stem in form.stem),
        instruments=tuple(form.instrument),
        model_id=form.model,
        parameters=form.parameters(),
        webhook=form.webhook,
    )
    made = submit_check(services, posting, submission)
    size = sum(len(stem.data) for stem in submission.stems)
    log.info("accepted", extra={"job": made.job.id, "kind": made.job.kind, "size": size})
    return made
