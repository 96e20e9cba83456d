"""`POST /datasets` and `POST /trainings`: an order in, a job out; for who has an API key of scope admin."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.access import ADMIN_ONLY
from service.answering.answers import job_answer, job_answers
from service.documents import order_examples as examples
from service.documents.documentation import problems
from service.documents.examples import (
    KEY_IN_FLIGHT,
    KEY_REUSED,
    NO_KEY,
    RATE_LIMITED,
    STORE_UNAVAILABLE,
    UNKNOWN_JOB,
    WRONG_SCOPE,
)
from service.documents.schemas import JobDocument
from service.intake.bodies import JSON, YAML, read_body
from service.rates import ONE_JOB
from service.services import Provided, Services
from service.submitting.idempotent import Made
from service.submitting.orders import DatasetRequest, TrainingRequest, order_dataset, order_training
from service.submitting.posting import Ordered, Posting

log = logging.getLogger(__name__)

router = APIRouter(tags=["making"], dependencies=[ADMIN_ONLY, ONE_JOB])

_COMMON_PROBLEMS = {
    "no_key": NO_KEY,
    "wrong_scope": WRONG_SCOPE,
    "rate_limited": RATE_LIMITED,
    "place_taken": examples.PLACE_TAKEN,
    "key_in_flight": KEY_IN_FLIGHT,
    "key_reused": KEY_REUSED,
    "body_too_large": examples.BODY_TOO_LARGE,
    "unsupported_body": examples.UNSUPPORTED_BODY,
    "forbidden_place": examples.FORBIDDEN_PLACE,
    "store_unavailable": STORE_UNAVAILABLE,
}


def _body(schema: str, example: dict[str, Any], yaml_example: str | None = None) -> dict[str, Any]:
    """Describes a body that is read here and not by the framework, because it may be YAML."""
    reference = {"$ref": f"#/components/schemas/{schema}"}
    content: dict[str, Any] = {JSON: {"schema": reference, "example": example}}
    content[YAML] = {"schema": reference} | ({} if yaml_example is None else {"example": yaml_example})
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/datasets",
    status_code=202,
    response_model=JobDocument,
    responses={
        **job_answers(
            ended=examples.DATASET_SUCCEEDED, queued=examples.DATASET_QUEUED, manifest="manifest.json"
        ),
        **problems(
            invalid_recipe=examples.INVALID_RECIPE,
            dataset_conflict=examples.DATASET_CONFLICT,
            **_COMMON_PROBLEMS,
        ),
    },
    openapi_extra=_body("DatasetRequest", examples.DATASET_REQUEST, examples.DATASET_REQUEST_YAML),
    summary="Make a data set",
)
async def make_dataset(request: Request, services: Provided, posting: Ordered) -> Response:
    """Takes a recipe as JSON or YAML and renders its clips, spread over all workers.

    The same recipe at the same place again goes on with what is there; another recipe there is refused (409).
    """
    asked = await read_body(request, DatasetRequest)
    return await _ordered(services, posting, partial(order_dataset, services, posting, asked))


@router.post(
    "/trainings",
    status_code=202,
    response_model=JobDocument,
    responses={
        **job_answers(
            ended=examples.TRAINING_SUCCEEDED, queued=examples.TRAINING_QUEUED, curves="curves.png"
        ),
        **problems(
            invalid_config=examples.INVALID_CONFIG,
            model_exists=examples.MODEL_EXISTS,
            job_unfinished=examples.JOB_UNFINISHED,
            unknown_job=UNKNOWN_JOB,
            **_COMMON_PROBLEMS,
        ),
    },
    openapi_extra=_body("TrainingRequest", examples.TRAINING_REQUEST),
    summary="Train a model",
)
async def train_model(request: Request, services: Provided, posting: Ordered) -> Response:
    """Trains a network on a data set; the finished model can be asked for at once, on every worker.

    Every epoch is an event of the job. Cancelled after its first epoch, a training makes a model of its best.
    """
    asked = await read_body(request, TrainingRequest)
    return await _ordered(services, posting, partial(order_training, services, posting, asked))


async def _ordered(services: Services, posting: Posting, order: Callable[[], Made]) -> Response:
    made = await run_in_threadpool(order)
    log.info("accepted", extra={"job": made.job.id, "kind": made.job.kind})
    return await job_answer(services, posting, made)
