"""What one pool process of a worker works with, made once as the process starts.

Conventions: the settings travel to the pool's processes within Celery's own configuration, under
`SETTINGS_KEY`. Making a workplace imports torch and loads the default model; importing this module does not,
nor does it import numpy, whose threads are counted as that happens.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

from celery import current_app
from redis import Redis

from worker.artifacts import ArtifactStore
from worker.attempt import Delivery, Work, attempt_job
from worker.catalog import Catalog
from worker.connection import connect
from worker.figures import Figures
from worker.host import ModelHost, announced_atlases, announcements, with_layers
from worker.leases import Leases
from worker.presence import Presence, process_name
from worker.queue import JobQueue
from worker.reaper import Reaper
from worker.references import References
from worker.settings import WorkerSettings
from worker.store import JobStore, Lifetimes

if TYPE_CHECKING:
    from worker.decoding import Sandboxes

SETTINGS_KEY = "timbrescope_settings"
# How often a worker asks Redis again before it gives something up.
PATIENCE = 8


@dataclass(frozen=True)
class Workplace:
    """What one pool process works with."""

    settings: WorkerSettings
    redis: Redis
    host: ModelHost
    queue: JobQueue
    presence: Presence
    reaper: Reaper
    sandboxes: "Sandboxes"

    @cached_property
    def store(self) -> JobStore:
        """The records of jobs."""
        return job_store(self.redis, self.settings)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """The files that jobs made."""
        return ArtifactStore(self.redis)

    @cached_property
    def references(self) -> References:
        """The rendered references of concepts."""
        return References(self.redis)

    @cached_property
    def leases(self) -> Leases:
        """Who is at work on what."""
        return Leases(self.redis)

    def attempt(self, job_id: str, work: Work, delivery: Delivery) -> bool:
        """One attempt at a job; whether it is unfinished, and waits for its next message."""
        return attempt_job(
            job_id,
            work,
            delivery=delivery,
            store=self.store,
            artifacts=self.artifacts,
            leases=self.leases,
            max_attempts=self.settings.max_attempts,
        )


@cache
def workplace() -> Workplace:
    """This process's workplace, with the default model loaded."""
    from worker.decoding import open_sandboxes

    settings = worker_settings()
    redis = connect(settings.redis_url, patience=PATIENCE, waits=True)
    # What works beside the jobs has connections of its own, and does not wait long.
    beside = connect(settings.redis_url)
    catalog = Catalog(beside)
    sandboxes = open_sandboxes(settings, Figures(beside))
    sandboxes.start()
    return Workplace(
        settings=settings,
        redis=redis,
        host=ModelHost(settings, Catalog(redis), Figures(beside)),
        queue=JobQueue(settings),
        presence=Presence(
            catalog,
            process_name(),
            [with_layers(model) for model in announcements(settings)],
            announced_atlases(settings),
        ),
        reaper=Reaper(beside, job_store(beside, settings), JobQueue(settings)),
        sandboxes=sandboxes,
    )


def worker_settings() -> WorkerSettings:
    """The settings that this worker was started with."""
    return WorkerSettings.model_validate_json(current_app.conf[SETTINGS_KEY])


def job_store(redis: Redis, settings: WorkerSettings) -> JobStore:
    """The store as these settings want it."""
    return JobStore(
        redis, Lifetimes(settings.result_ttl_s, settings.tombstone_ttl_s, settings.unfinished_ttl_s)
    )
