"""`POST /classify/batch` and `POST /explain/batch`: several recordings in, a job for each out."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.access import INFER_ONLY
from service.answering.answers import APPLIED, LATER
from service.documents import batch_examples as examples
from service.documents.batch_schemas import BatchDocument
from service.documents.documentation import Responses, answer, problems
from service.intake.forms import (
    BATCH_LIMITS,
    REPEATABLE_IN_BATCHES,
    ClassifyBatchForm,
    ExplainBatchForm,
    FieldsGivenOnce,
)
from service.intake.recordings import Upload
from service.intake.uploads import ManyUploadsRoute
from service.rates import charge
from service.routes.analysis import PROBLEMS, WAY_PROBLEMS
from service.services import Provided, Services
from service.submitting.batches import batch_answer, require_files, submit_all
from service.submitting.posting import Asked, Posting
from service.submitting.submission import Submission
from worker.jobs import JobKind

router = APIRouter(tags=["analysis"], route_class=ManyUploadsRoute, dependencies=[INFER_ONLY])


def _answers(**named: dict[str, Any]) -> Responses:
    ended, queued = "What became of each file; all jobs have ended", "What became of each file"
    return {
        200: answer(ended, BatchDocument, examples.BATCH_ENDED, APPLIED),
        202: answer(queued, BatchDocument, examples.BATCH_QUEUED, {**APPLIED, **LATER}),
        **problems(**named, **PROBLEMS, nothing_accepted=examples.NOTHING_ACCEPTED),
    }


# Both calls are alike but for their fields.
_batch = partial(router.post, status_code=202, response_model=BatchDocument, form_limits=BATCH_LIMITS)


@_batch(
    "/classify/batch",
    responses=_answers(),
    dependencies=[Depends(FieldsGivenOnce(ClassifyBatchForm, REPEATABLE_IN_BATCHES))],
    summary="Say which instruments play, of several recordings",
)
async def classify_batch(
    form: Annotated[ClassifyBatchForm, Form(media_type="multipart/form-data")],
    request: Request,
    services: Provided,
    posting: Asked,
) -> Response:
    """Takes several recordings and makes a job of each, as `POST /classify` does.

    A file that is refused takes nothing from the others; the answer says of each, in their order, which job
    it has or what is wrong with it. When none is accepted, the answer is a problem that lists them all.
    """
    return await _take(request, services, posting, JobKind.CLASSIFY, form)


@_batch(
    "/explain/batch",
    responses=_answers(**WAY_PROBLEMS),
    dependencies=[Depends(FieldsGivenOnce(ExplainBatchForm, REPEATABLE_IN_BATCHES))],
    summary="Say which instruments play, and show why, of several recordings",
)
async def explain_batch(
    form: Annotated[ExplainBatchForm, Form(media_type="multipart/form-data")],
    request: Request,
    services: Provided,
    posting: Asked,
) -> Response:
    """Takes several recordings and makes a job of each, as `POST /explain` does, all with the same fields.

    A file that is refused takes nothing from the others; the answer says of each, in their order, which job
    it has or what is wrong with it. When none is accepted, the answer is a problem that lists them all.
    """
    return await _take(request, services, posting, JobKind.EXPLAIN, form)


async def _take(
    request: Request,
    services: Services,
    posting: Posting,
    kind: JobKind,
    form: ClassifyBatchForm | ExplainBatchForm,
) -> Response:
    require_files(form.file, services.settings.max_batch_files)
    await run_in_threadpool(charge, request, services, len(form.file))
    parameters = form.parameters()

    def submission(upload: Upload) -> Submission:
        return Submission(kind, upload, form.model, parameters, form.webhook)

    entries = await submit_all(services, posting, form.file, submission)
    return await batch_answer(services, posting, entries)
