"""The jobs: looked up, listed, followed, cancelled, and the files that they made.

Conventions: jobs that a caller may not see are as if they were not there.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from service.access import Caller, Seeing
from service.answering import sse
from service.answering.answers import JOB_LINKS
from service.answering.files import File, FileWanted, file_answer, file_answers
from service.answering.listing import GIVEN_ONCE, JobQuery
from service.documents import examples, order_examples
from service.documents.documentation import answer, link, problems, raw_answer
from service.documents.result_examples import JOB_ID
from service.documents.schemas import JobDocument, JobList, JobSummary
from service.services import Provided, Services
from worker.errors import IllegalTransitionError
from worker.jobs import Job

router = APIRouter(prefix="/jobs", tags=["jobs"])

JobId = Annotated[str, Path(description="The job's id.", examples=[JOB_ID])]

_FIRST = {"job": link("get_job", "The newest of them.", job_id="$response.body#/jobs/0/id")}

_GONE = problems(
    no_key=examples.NO_KEY,
    unknown_job=examples.UNKNOWN_JOB,
    job_expired=examples.JOB_EXPIRED,
    store_unavailable=examples.STORE_UNAVAILABLE,
)


@router.get(
    "",
    response_model=JobList,
    responses={
        200: answer("Some of the jobs", JobList, examples.JOB_LIST, links=_FIRST),
        **problems(
            no_key=examples.NO_KEY,
            invalid=examples.INVALID_QUERY,
            store_unavailable=examples.STORE_UNAVAILABLE,
        ),
    },
    dependencies=[GIVEN_ONCE],
    summary="List the jobs, newest first",
)
def list_jobs(services: Provided, caller: Seeing, query: Annotated[JobQuery, Query()]) -> JobList:
    """The caller's jobs that have not expired, without their results; `next` leads to older ones.

    Where few jobs are wanted among many, a page may be short, or empty, and still have a `next`.
    """
    page = services.store.page(query.limit, query.cursor, audiences=caller.audiences, wanted=query.wanted)
    positions = services.store.queue_positions(page.jobs)
    summaries = [JobSummary.of(job, positions.get(job.id)) for job in page.jobs]
    return JobList(jobs=summaries, next=query.path_from(page.next_before))


@router.get(
    "/{job_id}",
    response_model=JobDocument,
    responses={200: answer("The job", JobDocument, examples.JOB_SUCCEEDED, links=JOB_LINKS), **_GONE},
    summary="Look at a job",
)
def get_job(services: Provided, caller: Seeing, job_id: JobId) -> JobDocument:
    """The job with its progress and, once it has succeeded, its result. Expired and deleted jobs answer
    410.
    """
    job = _visible(services, caller, job_id)
    return JobDocument.of(job, services.store.queue_position(job), services.webhooks.state(job))


@router.delete(
    "/{job_id}",
    response_model=JobDocument,
    responses={
        200: answer("The job, now cancelled", JobDocument, examples.JOB_CANCELLED, links=JOB_LINKS),
        202: answer(
            "The training, which makes a model of what it has",
            JobDocument,
            order_examples.JOB_STOPPING,
            links=JOB_LINKS,
        ),
        204: {"description": "The job had ended; it is deleted, and its files with it"},
        **_GONE,
    },
    summary="Cancel or delete a job",
)
def delete_job(services: Provided, caller: Seeing, job_id: JobId) -> Response:
    """Cancels a job that is queued or running; deletes one that has ended, with the files that it keeps here.

    A training that has finished an epoch first makes a model of the best one, for which it takes a moment
    (202), unless it is cancelled once more. Data sets and models that a job has made stay where they are.
    """
    _visible(services, caller, job_id)
    try:
        job = services.store.cancel(job_id)
    except IllegalTransitionError:
        services.store.delete(job_id)
        return Response(status_code=204)
    document = JobDocument.of(job).model_dump(mode="json", by_alias=True)
    return JSONResponse(document, status_code=200 if job.status.is_terminal else 202)


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={
        200: raw_answer(
            "Server-sent events named `job`, one for every change, up to the job's end",
            {"text/event-stream": examples.EVENT_STREAM},
            schema=sse.EVENT_SCHEMA,
        ),
        204: {
            "description": "The job has ended and nothing is later than `Last-Event-ID`: nothing is to come"
        },
        **_GONE,
        **problems(
            store_unavailable=examples.STORE_UNAVAILABLE,
            too_many_streams=examples.TOO_MANY_STREAMS,
            too_many_own_streams=examples.TOO_MANY_OWN_STREAMS,
        ),
    },
    summary="Follow a job",
)
async def follow_job(
    services: Provided,
    caller: Seeing,
    job_id: JobId,
    last_event_id: Annotated[
        str | None, Header(description="Where to go on; browsers send it by themselves.")
    ] = None,
) -> Response:
    """Every change of status and progress as it happens, from the job's beginning or from `Last-Event-ID` on.

    The data of an event is JSON with `id`, `status` and `progress`. The stream ends with the job. An event id
    that is none counts as none.
    """
    job = await run_in_threadpool(_visible, services, caller, job_id)
    after = sse.entry_after(last_event_id)
    if job.status.is_terminal and not await services.feed.has_later(job_id, after):
        return Response(status_code=204)
    return sse.EventStream(_events(services, job, after), services.streams.place(caller.owner))


async def _events(services: Services, job: Job, after: str) -> AsyncGenerator[str, None]:
    async with aclosing(services.feed.follow(job.id, job.queue, after)) as events:
        async for event in events:
            yield sse.encode(event)


@router.get(
    "/{job_id}/artifacts/{name}",
    response_class=Response,
    responses={
        **file_answers(
            {
                "image/png": None,
                "audio/wav": None,
                "application/x-npz": None,
                "application/json": "{}",
                "text/csv": None,
            },
        ),
        **_GONE,
        **problems(
            unknown_job=examples.UNKNOWN_JOB,
            unknown_artifact=examples.UNKNOWN_ARTIFACT,
            beyond_the_end=examples.BEYOND_THE_END,
        ),
    },
    summary="Fetch a file that a job made",
)
def get_artifact(
    services: Provided,
    caller: Seeing,
    job_id: JobId,
    name: Annotated[str, Path(description="The file's name, as linked.", examples=["spectrogram.png"])],
    wanted: FileWanted,
) -> Response:
    """A picture, a sound, numbers or a table from the job's result; `audio.wav` is what was analysed."""
    _visible(services, caller, job_id)
    info = services.artifacts.info(job_id, name)
    read = partial(services.artifacts.part, job_id, name)
    return file_answer(wanted, File(info.media_type, info.size_bytes, info.sha256, read, info.name))


def _visible(services: Services, caller: Caller, job_id: str) -> Job:
    """The job, if the caller may see it."""
    return services.store.get(job_id, caller.audiences)
