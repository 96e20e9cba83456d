"""`timbrescope status`: whether the service is ready, what waits, what runs, who works, and how jobs ended.

Conventions: everything is read from the service's Redis, and its API asked once whether it is ready. Times
are in seconds, sizes in bytes. No names of files and no keys are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import typer

from timbrescope.console import print_json, screen
from timbrescope.errors import LaunchError
from timbrescope.options import JsonOption

if TYPE_CHECKING:
    from redis import Redis

    from service.settings import ServiceSettings
    from worker.jobs import Job
    from worker.status import Server

RECENT = timedelta(hours=1)
MOST_RECENT = 5_000
"""How many of the newest jobs are looked at for what became of them."""


@dataclass(frozen=True)
class QueueStatus:
    """What waits in a queue, and how many may."""

    queue: str
    depth: int
    most: int
    oldest_age_s: float


@dataclass(frozen=True)
class WorkerStatus:
    """A process of a worker, since when it is ready, and the job (or `job/part`) it is at."""

    name: str
    models: tuple[str, ...]
    since: str | None
    at: str | None


@dataclass(frozen=True)
class RunningStatus:
    """A job that was begun."""

    id: str
    kind: str
    stage: str
    done: int
    total: int
    attempt: int
    age_s: float


@dataclass(frozen=True)
class Recent:
    """What became of the jobs that were made within the last hour and are still kept."""

    made: int
    by_status: dict[str, int]
    failures: dict[str, int]
    median_s: float | None
    """From acceptance to the end, of those that succeeded."""


@dataclass(frozen=True)
class Status:
    """The service at a moment; `why_not` says why it is not ready."""

    ready: bool
    why_not: str | None
    api: str
    api_ready: bool
    redis: Server | None = None
    queues: tuple[QueueStatus, ...] = ()
    workers: tuple[WorkerStatus, ...] = ()
    running: tuple[RunningStatus, ...] = ()
    last_hour: Recent | None = None
    outcomes: dict[str, dict[str, int]] | None = None
    failures: dict[str, int] | None = None
    attempts_lost: dict[str, int] | None = None


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(status)


def status(as_json: JsonOption = False) -> None:
    """Say how the running service stands; fails unless it is ready."""
    from service.settings import ServiceSettings
    from timbrescope.serving import load

    found = look(load(ServiceSettings))
    if as_json:
        print_json(asdict(found))
    else:
        from timbrescope.status_tables import tables

        for table in tables(found):
            screen().print(table)
    raise typer.Exit(0 if found.ready else 1)


def look(settings: ServiceSettings) -> Status:
    """How the service stands: the one of `timbrescope up` here, or that of TIMBRESCOPE_REDIS_URL.

    Where `up` runs, its API has to be ready too; else the API may be on another machine.
    """
    from timbrescope.launcher import why_not_ready
    from timbrescope.running import connect_to_running
    from worker.connection import UNAVAILABLE, unavailable

    url = api_url(settings)
    silence = why_not_ready(url)
    base = Status(ready=False, why_not=None, api=url, api_ready=silence is None)
    try:
        with connect_to_running(settings) as redis:
            found = replace(base, **_seen(redis, settings))
            reason = _why_no_job_would_run(redis, found)
    except LaunchError as error:
        return replace(base, why_not=str(error))
    except UNAVAILABLE as error:
        return replace(base, why_not=str(unavailable(error)))
    if reason is None and silence is not None and "redis_url" not in settings.model_fields_set:
        reason = f"{url}: {silence}."
    return replace(found, ready=reason is None, why_not=reason)


def api_url(settings: ServiceSettings) -> str:
    """Where the API is asked: where the settings say, else where the `timbrescope up` of the state folder
    has it.
    """
    from timbrescope.launcher import url_of
    from timbrescope.state import StateFolder

    if settings.model_fields_set.isdisjoint({"host", "port", "redis_url"}):
        kept = StateFolder(settings.state_dir.absolute()).url()
        if kept is not None:
            return kept
    return url_of(settings.host, settings.port)


def _seen(redis: Redis, settings: ServiceSettings) -> dict[str, Any]:
    from worker.catalog import Catalog
    from worker.figures import Figures
    from worker.jobs import QueueName
    from worker.status import at_work, jobs_since, outcomes, running_jobs, server_of, waiting_jobs

    now = datetime.now(UTC)
    counters = Figures(redis).collect().counters
    at = at_work(redis)
    most = {
        QueueName.INTERACTIVE: settings.max_queued_interactive,
        QueueName.BATCH: settings.max_queued_batch,
    }
    waiting = {queue: waiting_jobs(redis, queue) for queue in QueueName}
    return {
        "redis": server_of(redis),
        "queues": tuple(
            QueueStatus(queue, found.depth, most[queue], round(found.oldest_age_s, 1))
            for queue, found in waiting.items()
        ),
        "workers": tuple(
            WorkerStatus(
                found.name,
                found.models,
                None if found.since is None else found.since.isoformat(),
                at.get(found.name),
            )
            for found in sorted(Catalog(redis).workers(), key=lambda worker: worker.name)
        ),
        "running": tuple(_running(job, now) for job in running_jobs(redis)),
        "last_hour": _recent(jobs_since(redis, now - RECENT, MOST_RECENT)),
        "outcomes": outcomes(redis),
        "failures": _added_up((values[-1], n) for values, n in counters.get("job_failures", {}).items()),
        "attempts_lost": _added_up(
            (values[-1], n) for values, n in counters.get("attempts_lost", {}).items()
        ),
    }


def _running(job: Job, now: datetime) -> RunningStatus:
    told = job.progress
    began = job.started_at or job.created_at
    age_s = round((now - began).total_seconds(), 1)
    return RunningStatus(job.id, job.kind, told.stage, told.done, told.total, job.attempts, age_s)


def _recent(jobs: tuple[Job, ...]) -> Recent:
    from worker.jobs import JobStatus

    lasted_s = [
        (job.finished_at - job.created_at).total_seconds()
        for job in jobs
        if job.status is JobStatus.SUCCEEDED and job.finished_at is not None and not job.cached
    ]
    return Recent(
        made=len(jobs),
        by_status=_added_up((job.status, 1) for job in jobs),
        failures=_added_up((job.error.type, 1) for job in jobs if job.error is not None),
        median_s=round(median(lasted_s), 3) if lasted_s else None,
    )


def _why_no_job_would_run(redis: Redis, found: Status) -> str | None:
    """Why a job that was sent now would not be accepted or not be done."""
    from worker.errors import StoreUnavailableError
    from worker.room import require_room

    try:
        require_room(redis)
    except StoreUnavailableError as error:
        return str(error)
    return None if found.workers else "No worker is ready at the moment."


def _added_up(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The counts by name, the highest first."""
    sums: dict[str, int] = {}
    for name, count in counts:
        sums[str(name)] = sums.get(str(name), 0) + count
    return dict(sorted(sums.items(), key=lambda pair: -pair[1]))
