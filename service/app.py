"""The application: routes, error handlers and the services between start and stop, put together.

Conventions: `create_app` reads nothing but its settings, so that an application can be described without
any Redis; connections are made when it starts and closed when it stops.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from service.documents.description import API_VERSION, describe
from service.edge.layers import surround
from service.errors import install_error_handlers
from service.intake.upload_places import UploadPlaces
from service.metrics import Metrics
from service.rates import RateHeaders
from service.routes import analysis, batches, catalog, concepts, health, jobs, orders, pages
from service.services import open_services
from service.settings import ServiceSettings
from service.webhooks.description import describe_webhooks


def create_app(settings: ServiceSettings | None = None) -> FastAPI:
    """The application for these settings, by default those of the environment."""
    chosen = settings or ServiceSettings()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = open_services(chosen, metrics)
        app.state.services = services
        metrics.watch_jobs(services.redis, services.store, services.catalog)
        services.courier.start()
        await run_in_threadpool(services.queue.make_ready)
        try:
            yield
        finally:
            await services.close()

    app = FastAPI(
        version=API_VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.openapi = lambda: describe(app, keys_are_required=chosen.keys_are_required)  # type: ignore[method-assign]
    app.add_middleware(RateHeaders)
    surround(app, chosen, metrics)
    app.state.upload_places = UploadPlaces(chosen.max_uploads)
    install_error_handlers(app)
    for module in (analysis, batches, orders, jobs, catalog, concepts, health, pages):
        app.include_router(module.router)
    describe_webhooks(app)
    app.mount("/static", StaticFiles(directory=str(pages.STATIC)), name="static")
    return app
