"""What the routes work with: one object made when the application starts and closed when it stops."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis import Redis
from starlette.concurrency import run_in_threadpool

from service.answering.streams import Streams
from service.intake.inspection import Inspector, open_inspector
from service.metrics import Metrics
from service.settings import ServiceSettings
from service.webhooks.courier import Courier
from worker.api_keys import ApiKeys
from worker.artifacts import ArtifactStore
from worker.catalog import Catalog
from worker.connection import connect
from worker.feed import Feed
from worker.figures import Figures
from worker.idempotency import Marks
from worker.queue import JobQueue
from worker.rates import Rates
from worker.result_cache import ResultCache
from worker.store import JobStore, Lifetimes
from worker.webhooks import Webhooks


@dataclass(frozen=True)
class Services:
    """The ways to jobs, artefacts, models and workers."""

    settings: ServiceSettings
    redis: Redis
    store: JobStore
    artifacts: ArtifactStore
    catalog: Catalog
    queue: JobQueue
    feed: Feed
    streams: Streams
    metrics: Metrics
    api_keys: ApiKeys
    rates: Rates
    marks: Marks
    result_cache: ResultCache
    inspector: Inspector
    courier: Courier
    webhooks: Webhooks

    async def close(self) -> None:
        """Gives up all connections and processes."""
        await run_in_threadpool(self.courier.stop, self.settings.shutdown_grace_s)
        self.inspector.close()
        await self.feed.close()
        self.queue.close()
        self.redis.close()


def open_services(settings: ServiceSettings, metrics: Metrics) -> Services:
    """Makes the services. Nothing is connected before it is needed, so Redis may come later."""
    redis = connect(settings.redis_url)
    admin_key = None if settings.admin_key is None else settings.admin_key.get_secret_value()
    lifetimes = Lifetimes(settings.result_ttl_s, settings.tombstone_ttl_s, settings.unfinished_ttl_s)
    store = JobStore(redis, lifetimes)
    return Services(
        settings=settings,
        redis=redis,
        store=store,
        artifacts=ArtifactStore(redis),
        catalog=Catalog(redis),
        queue=JobQueue(settings),
        feed=Feed(settings.redis_url),
        streams=Streams(settings.max_streams, settings.max_streams_per_key),
        metrics=metrics,
        api_keys=ApiKeys(redis, admin_key),
        rates=Rates(redis),
        marks=Marks(redis),
        result_cache=ResultCache(redis),
        inspector=open_inspector(settings, Figures(redis)),
        courier=Courier(settings, redis, store),
        webhooks=Webhooks(redis),
    )


def _of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Provided = Annotated[Services, Depends(_of)]
