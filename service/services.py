"""What the routes work with: one object made when the application starts and closed when it stops."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis import Redis

from service.metrics import Metrics
from service.settings import ServiceSettings
from worker.artifacts import ArtifactStore
from worker.catalog import Catalog
from worker.connection import connect
from worker.feed import Feed
from worker.queue import JobQueue
from worker.store import JobStore, Lifetimes


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
    metrics: Metrics

    async def close(self) -> None:
        """Gives up all connections."""
        await self.feed.close()
        self.queue.close()
        self.redis.close()


def open_services(settings: ServiceSettings, metrics: Metrics) -> Services:
    """Makes the services. Nothing is connected before it is needed, so Redis may come later."""
    redis = connect(settings.redis_url)
    lifetimes = Lifetimes(settings.result_ttl_s, settings.tombstone_ttl_s, settings.unfinished_ttl_s)
    return Services(
        settings=settings,
        redis=redis,
        store=JobStore(redis, lifetimes),
        artifacts=ArtifactStore(redis),
        catalog=Catalog(redis),
        queue=JobQueue(settings),
        feed=Feed(settings.redis_url),
        metrics=metrics,
    )


def _of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Provided = Annotated[Services, Depends(_of)]
