"""How a POST that makes a job is answered: with the job, at once or when it has ended.

Conventions: 202 and the job while it is unfinished; 200 when it has ended well or was cancelled; when it
has failed while the client waited, the job's problem document with its own status is the answer.
"""

import logging
from typing import Annotated, Any

from fastapi import Header
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from service.documentation import Responses, answer, link
from service.errors import problem_response
from service.prefer import LONGEST_WAIT_S, wait_s
from service.schemas import JobDocument
from service.services import Services
from worker.connection import UNAVAILABLE
from worker.jobs import Job, JobStatus

log = logging.getLogger(__name__)

POLL_AFTER_S = 1

Prefer = Annotated[
    str | None,
    Header(
        description=f"`wait=N` waits up to N seconds (at most {LONGEST_WAIT_S}) for the job to end.",
        examples=["wait=30"],
    ),
]

_APPLIED = {
    "Location": "The job's path.",
    "Preference-Applied": "`wait=N`, when the request asked to wait.",
}
_ID = "$response.body#/id"

JOB_LINKS = {
    "job": link("get_job", "The job as it is by then.", job_id=_ID),
    "events": link("follow_job", "Every change of it.", job_id=_ID),
    "end": link("delete_job", "Cancels it, or deletes it once it has ended.", job_id=_ID),
}


def file_links(**files: str) -> dict[str, Any]:
    """Links from a job that has succeeded to files that it made, for the API description."""
    return {
        name: link("get_artifact", f"Its file `{file}`.", job_id=_ID, name=file)
        for name, file in files.items()
    }


def job_answers(*, ended: Any, queued: Any, **files: str) -> Responses:
    """The answers that are jobs, for the API description, with an example of each and the files to come."""
    headers = {**_APPLIED, "Retry-After": "Seconds after which to look again."}
    links = {**JOB_LINKS, **file_links(**files)}
    return {
        200: answer("The job, which ended while the client waited", JobDocument, ended, _APPLIED, links),
        202: answer("The job, which is queued or running", JobDocument, queued, headers, links),
    }


async def job_answer(services: Services, job: Job, prefer: str | None) -> Response:
    """The answer to who has made a job, or would wait for it."""
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
