"""`GET /health/live`, `GET /health/ready` and `GET /metrics`: the service seen from outside."""

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response

from service.access import KNOWN_ONLY
from service.documents import examples
from service.documents.documentation import answer, problems, raw_answer
from service.documents.schemas import HealthDocument
from service.services import Provided
from worker.errors import NoWorkerError
from worker.room import require_room, require_writable

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
    """Redis answers and has room, and at least one worker has its model loaded; else the reason, with 503."""
    require_writable(services.redis)
    require_room(services.redis)
    if not services.catalog.workers():
        raise NoWorkerError("No worker is ready at the moment.")
    return HealthDocument(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: raw_answer(
            "Figures in Prometheus's text format, or in OpenMetrics for who accepts that",
            {"text/plain": examples.METRICS, "application/openmetrics-text": f"{examples.METRICS}# EOF\n"},
        ),
        **problems(no_key=examples.NO_KEY),
    },
    dependencies=[KNOWN_ONLY],
    summary="Figures for Prometheus",
)
def metrics(services: Provided, accept: Annotated[str, Header(include_in_schema=False)] = "") -> Response:
    """Requests by route and status, jobs that wait, run and have ended, their times by kind and stage,
    failures by cause, workers, Redis, this process; in OpenMetrics for who accepts that.
    """
    figures, media_type = services.metrics.exposition(accept)
    return Response(figures, headers={"Content-Type": media_type})
