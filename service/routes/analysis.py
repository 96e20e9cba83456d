"""`POST /classify` and `POST /explain`: a recording in, a job out; with `Prefer: wait` the finished job.

Conventions: 202 and the job while it is unfinished; 200 when it has ended well or was cancelled; when it
has failed while the client waited, the job's problem document with its own status is the answer.
"""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Header
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from service import examples
from service.documentation import Responses, answer, problems
from service.errors import problem_response
from service.prefer import LONGEST_WAIT_S, wait_s
from service.schemas import JobDocument
from service.services import Provided, Services
from service.submission import Submission, submit
from service.uploads import FORM_LIMITS, ClassifyForm, ExplainForm, UploadRoute, refuse_repeated_fields
from worker.connection import UNAVAILABLE
from worker.jobs import Job, JobKind, JobStatus, Parameters

log = logging.getLogger(__name__)

POLL_AFTER_S = 1

router = APIRouter(tags=["analysis"], route_class=UploadRoute, dependencies=[Depends(refuse_repeated_fields)])

Prefer = Annotated[
    str | None,
    Header(
        description=f"`wait=N` waits up to N seconds (at most {LONGEST_WAIT_S}) for the job to end.",
        examples=["wait=30"],
    ),
]

_APPLIED = {"Preference-Applied": "`wait=N`, when the request asked to wait."}
_RESPONSES: Responses = {
    200: answer(
        "The job, which ended while the client waited", JobDocument, examples.JOB_SUCCEEDED, _APPLIED
    ),
    202: answer(
        "The job, which is queued or running",
        JobDocument,
        examples.JOB_QUEUED,
        {"Location": "The job's path.", "Retry-After": "Seconds after which to look again.", **_APPLIED},
    ),
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
    log.info(
        "accepted", extra={"job": job.id, "kind": job.kind, "format": job.input.format, "size": len(data)}
    )
    wait = wait_s(prefer)
    if wait is not None:
        job = await _wait(services, job, wait)
    position = None
    if job.status is JobStatus.QUEUED:
        position = await run_in_threadpool(services.store.queue_position, job)
    return _answer(job, position, wait)


async def _wait(services: Services, job: Job, wait: int) -> Job:
    try:
        await services.feed.ended(job.id, wait)
        return await run_in_threadpool(services.store.get, job.id)
    except UNAVAILABLE as error:
        # The job is accepted; that the store went away meanwhile does not take this back.
        log.warning("could not wait", extra={"job": job.id, "error": repr(error)})
        return job


def _answer(job: Job, position: int | None, wait: int | None) -> Response:
    headers = {"Location": job.path}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if job.error is not None:
        return problem_response(job.error, instance=job.path, headers=headers)
    if not job.status.is_terminal:
        headers["Retry-After"] = str(POLL_AFTER_S)
    document = JobDocument.of(job, position).model_dump(mode="json", by_alias=True)
    return JSONResponse(document, status_code=200 if job.status.is_terminal else 202, headers=headers)
