"""`GET /health/live`, `GET /health/ready` and `GET /metrics`: the service seen from outside."""

from fastapi import APIRouter
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from service import examples
from service.access import KNOWN_ONLY
from service.documentation import answer, problems, raw_answer
from service.schemas import HealthDocument
from service.services import Provided
from worker.errors import NoWorkerError

router = APIRouter(tags=["service"])


@router.get(
    "/health/live",
    response_model=HealthDocument,
    responses={200: answer("The process answers", HealthDocument, {"status": "live"}), **problems()},
    summary="Whether this process answers",
)
async def live() -> HealthDocument:
    """Asks nothing of anything else; where this fails, the process should be started anew."""
    return HealthDocument(status="live")


@router.get(
    "/health/ready",
    response_model=HealthDocument,
    responses={
        200: answer("Requests can be answered", HealthDocument, {"status": "ready"}),
        **problems(no_worker=examples.NOT_READY, store_unavailable=examples.STORE_UNAVAILABLE),
    },
    summary="Whether requests can be answered now",
)
def ready(services: Provided) -> HealthDocument:
    """Redis answers and at least one worker has its model loaded; else the reason, with 503."""
    if not services.catalog.workers():
        raise NoWorkerError("No worker is ready at the moment.")
    return HealthDocument(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: raw_answer("Figures in Prometheus's text format", {"text/plain": examples.METRICS}),
        **problems(no_key=examples.NO_KEY),
    },
    dependencies=[KNOWN_ONLY],
    summary="Figures for Prometheus",
)
def metrics(services: Provided) -> Response:
    """Requests by route and status, waiting jobs, ended jobs by kind and status, workers, this process."""
    return Response(services.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
