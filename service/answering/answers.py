"""How a POST that makes a job is answered: with the job, at once or when it has ended.

Conventions: 202 and the job while it is unfinished; 200 when it has ended well or was cancelled, because the
client waited or because the answer was there already; when it has failed, the job's problem document with its
own status is the answer.
"""

import logging
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from service.answering.prefer import wait_s
from service.documents.documentation import Responses, answer, link
from service.documents.schemas import JobDocument
from service.errors import problem_response
from service.intake.upload_places import leave_upload_place
from service.services import Services
from service.submitting.idempotent import Made
from service.submitting.posting import Posting
from worker.connection import UNAVAILABLE
from worker.jobs import Job, JobStatus

log = logging.getLogger(__name__)

POLL_AFTER_S = 1

REPLAYED = "Idempotency-Replayed"

APPLIED = {
    "Preference-Applied": "`wait=N`, when the request asked to wait.",
    REPLAYED: "`true` when an earlier request with the same Idempotency-Key has made the job.",
}
LATER = {"Retry-After": "Seconds after which to look again."}
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
    headers = {"Location": "The job's path.", **APPLIED}
    links = {**JOB_LINKS, **file_links(**files)}
    return {
        200: answer("The job, which has ended", JobDocument, ended, headers, links),
        202: answer("The job, which is queued or running", JobDocument, queued, {**headers, **LATER}, links),
    }


async def job_answer(services: Services, posting: Posting, made: Made) -> Response:
    """The answer to a POST that has made a job, now or when it was sent before."""
    job, headers = made.job, {"Location": made.job.path}
    if made.is_replay:
        headers[REPLAYED] = "true"
    wait = wait_s(posting.prefer)
    if wait is not None:
        job = await waited(services, job, wait)
        headers["Preference-Applied"] = f"wait={wait}"
    if job.error is not None:
        return problem_response(job.error, instance=job.path, headers=headers)
    if not job.status.is_terminal:
        headers["Retry-After"] = str(POLL_AFTER_S)
    positions = {}
    if job.status is JobStatus.QUEUED:
        positions = await run_in_threadpool(positions_of, services, [job])
    document = JobDocument.of(job, positions.get(job.id)).model_dump(mode="json", by_alias=True)
    return JSONResponse(document, status_code=200 if job.status.is_terminal else 202, headers=headers)


async def waited(services: Services, job: Job, timeout_s: float) -> Job:
    """The job as it is when it has ended, or after this time."""
    await leave_upload_place()
    try:
        await services.feed.ended(job.id, timeout_s)
        return await run_in_threadpool(services.store.get, job.id)
    except UNAVAILABLE as error:
        # The job is accepted; that the store went away meanwhile does not take this back.
        log.warning("could not wait", extra={"job": job.id, "error": repr(error)})
        return job


def positions_of(services: Services, accepted: Sequence[Job]) -> dict[str, int]:
    """The places in the queue of jobs that were accepted, by their ids, as far as they can be found out."""
    try:
        return services.store.queue_positions(accepted)
    except UNAVAILABLE as error:
        ids = [job.id for job in accepted]
        log.warning("could not look for places", extra={"jobs": ids, "error": repr(error)})
        return {}
