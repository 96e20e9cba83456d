"""`POST /classify` and `POST /explain`: a recording in, a job out; with `Prefer: wait` the finished job."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service import examples
from service.answers import Prefer, job_answer, job_answers
from service.documentation import Responses, problems
from service.schemas import JobDocument
from service.services import Provided, Services
from service.submission import Submission, submit
from service.uploads import FORM_LIMITS, ClassifyForm, ExplainForm, UploadRoute, refuse_repeated_fields
from worker.jobs import JobKind
from worker.questions import Parameters

log = logging.getLogger(__name__)

router = APIRouter(tags=["analysis"], route_class=UploadRoute, dependencies=[Depends(refuse_repeated_fields)])

_RESPONSES: Responses = {
    **job_answers(ended=examples.JOB_SUCCEEDED, queued=examples.JOB_QUEUED),
    **problems(
        bad_body=examples.BAD_BODY,
        too_long=examples.TOO_LONG,
        unknown_format=examples.UNKNOWN_FORMAT,
        unknown_model=examples.UNKNOWN_MODEL,
        unknown_instrument=examples.UNKNOWN_INSTRUMENT,
        store_unavailable=examples.STORE_UNAVAILABLE,
        no_worker=examples.NOT_READY,
    ),
}


@router.post(
    "/classify",
    status_code=202,
    response_model=JobDocument,
    responses=_RESPONSES,
    form_limits=FORM_LIMITS,
    summary="Say which instruments play",
)
async def classify(
    form: Annotated[ClassifyForm, Form(media_type="multipart/form-data")],
    services: Provided,
    prefer: Prefer = None,
) -> Response:
    """Takes a recording and says which instruments play in it, over all and in every window of five
    seconds.
    """
    return await _analyse(services, JobKind.CLASSIFY, form, Parameters(threshold=form.threshold), prefer)


@router.post(
    "/explain",
    status_code=202,
    response_model=JobDocument,
    responses=_RESPONSES,
    form_limits=FORM_LIMITS,
    summary="Say which instruments play, and show why",
)
async def explain(
    form: Annotated[ExplainForm, Form(media_type="multipart/form-data")],
    services: Provided,
    prefer: Prefer = None,
) -> Response:
    """Takes a recording, says which instruments play in it, and maps the evidence for each over frequency
    and time.

    With nothing found, the list of explanations is empty. A recording longer than a minute needs
    `start_s` and `duration_s`.
    """
    parameters = Parameters(
        threshold=form.threshold,
        instruments=tuple(dict.fromkeys(form.instruments)) if form.instruments else None,
        n_concepts=form.concepts,
        start_s=form.start_s,
        duration_s=form.duration_s,
        engine=form.engine,
    )
    return await _analyse(services, JobKind.EXPLAIN, form, parameters, prefer)


async def _analyse(
    services: Services, kind: JobKind, form: ClassifyForm, parameters: Parameters, prefer: str | None
) -> Response:
    data = await form.file.read()
    submission = Submission(kind, form.file.filename, data, form.model, parameters)
    job = await run_in_threadpool(submit, services, submission)
    log.info("accepted", extra={"job": job.id, "kind": job.kind, "size": len(data)})
    return await job_answer(services, job, prefer)
