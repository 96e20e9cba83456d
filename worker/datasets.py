"""Making a data set: planned once, then shard by shard by whoever is free, then finished.

Conventions: a message about the job means "do the next step"; who gets it finds out what that is. Shards are
pure functions of the plan and written whole, so one that is done twice, after its first maker was taken for
dead, is the same. Where the data set lies is checked anew on every machine, for links are a machine's own.
"""

import logging
import time
from dataclasses import dataclass
from functools import lru_cache, partial

from ml.dataset.build import build_shard, finish_dataset, finished_shards
from ml.dataset.manifest import MANIFEST_NAME, Manifest
from ml.dataset.plan import DatasetPlan, PlanningWatch, open_plan, plan_dataset
from ml.dataset.shards import ShardContent
from ml.dataset.storage import open_storage
from ml.errors import within
from ml.melspec import MelConfig
from ml.synthesis.recipe import Recipe
from worker.attempt import Attempt, Delivery, Outcome, Unfinished, end_with, observed, tell_end
from worker.errors import AttemptLostError, InternalError, WorkerLostError
from worker.jobs import Job, JobStatus, artifact_path
from worker.leases import Lease
from worker.orders import DatasetOrder
from worker.places import place_below
from worker.progress import paced
from worker.reaper import n_messages
from worker.units import END, Taken, Unit, Units
from worker.workplace import Workplace

log = logging.getLogger(__name__)

# How long the reading of scores keeps a process busy before others get their turn.
PLANNING_TURN_S = 15.0


def dataset_step(job_id: str, delivery: Delivery, here: Workplace) -> int:
    """Does the next step of a data set job; how many messages there should be after it."""
    units = Units(here.redis, job_id)
    if not units.are_open():
        is_planned = here.attempt(job_id, partial(_plan, units=units, here=here), delivery)
        return n_messages(here.redis, here.store.get(job_id)) if is_planned else 0
    job = here.store.get(job_id)
    if job.status is not JobStatus.RUNNING or job.attempt_token is None:
        return 0
    taken = units.take(delivery.holder)
    if taken is None:
        return 0
    if taken.attempts > 1:
        here.store.figures.count("attempts_lost", cause=delivery.cause_of_loss)
    with (
        observed(job, delivery, unit=taken.unit) as span,
        Lease(here.leases, f"{job_id}/{taken.unit}", delivery.holder) as lease,
    ):
        log.info("started", extra={"unit": taken.unit, "attempt": taken.attempts})
        work = partial(_do_unit, taken=taken, units=units, lease=lease, here=here)
        try:
            after = end_with(job, job.attempt_token, work, store=here.store, artifacts=here.artifacts)
        except AttemptLostError as reason:
            log.info("stopped", extra={"unit": taken.unit, "reason": str(reason)})
            return 0
        tell_end(span, after)
        log.info("ended", extra={"unit": taken.unit, "status": after.status})
    return 0 if after.status.is_terminal else min(1, units.n_free())


def _plan(job: Job, attempt: Attempt, *, units: Units, here: Workplace) -> Outcome:
    order = _order(job)
    attempt.progress("planning", 0, 0)
    storage = open_storage(_place(order, here))
    content = ShardContent(audio=order.audio, stems=order.stems)
    turn = _PlanningTurn(attempt)
    try:
        with within("recipe"):
            recipe = Recipe.model_validate(order.recipe)
            watch = PlanningWatch(turn.on_file, turn.on_clip)
            plan = plan_dataset(recipe, storage, content, MelConfig(), watch=watch)
    except _TurnOverError:
        return Unfinished()
    finished = finished_shards(plan)
    units.open({shard.name: Unit(len(shard), shard.name in finished) for shard in plan.shards})
    tally = units.tally()
    attempt.progress("rendering", tally.done, tally.total)
    return Unfinished(is_shared=True)


class _TurnOverError(Exception):
    pass


@dataclass
class _PlanningTurn:
    """Tells how far planning is, and ends the turn while files are read: those that were are kept."""

    attempt: Attempt
    began_at: float | None = None

    def on_file(self, done: int, total: int) -> None:
        self.attempt.progress("planning", done, total)
        now = time.monotonic()
        if self.began_at is None:
            self.began_at = now
        if done < total and now - self.began_at >= PLANNING_TURN_S:
            raise _TurnOverError

    def on_clip(self, done: int, total: int) -> None:
        self.attempt.progress("planning", done, total)


def _do_unit(
    job: Job, attempt: Attempt, *, taken: Taken, units: Units, lease: Lease, here: Workplace
) -> Outcome:
    if taken.attempts > here.settings.max_attempts:
        died = taken.attempts - 1
        raise WorkerLostError(f"The process that worked on {taken.unit} of this job died {died} times.")
    order = _order(job)
    plan = _opened(job.id, _place(order, here))
    if taken.unit == END:
        manifest = finish_dataset(plan)
        return _result(job, attempt, order, manifest, open_storage(order.url).read(MANIFEST_NAME))
    record = build_shard(plan, taken.unit, on_clip=lambda done, total: attempt.require_wanted())
    tally = units.finish(taken.unit, len(record))
    lease.is_kept = False
    attempt.report(
        paced("rendering", tally.done, tally.total, done_before=tally.done_before, elapsed_s=tally.elapsed_s)
    )
    return Unfinished(is_shared=True)


def _result(
    job: Job, attempt: Attempt, order: DatasetOrder, manifest: Manifest, data: bytes
) -> dict[str, object]:
    attempt.keep(MANIFEST_NAME, "application/json", data)
    return {
        "url": order.url,
        "digest": manifest.digest,
        "n_clips": sum(len(shard) for shard in manifest.shards),
        "n_shards": len(manifest.shards),
        "labels": list(manifest.labels),
        "manifest": artifact_path(job.id, MANIFEST_NAME),
    }


# A process mostly does shard after shard of one data set, and reading the plan takes as long as some clips.
@lru_cache(maxsize=2)
def _opened(job_id: str, url: str) -> DatasetPlan:
    return open_plan(open_storage(url))


def _place(order: DatasetOrder, here: Workplace) -> str:
    return place_below(here.settings.dataset_places, order.url, field="url")


def _order(job: Job) -> DatasetOrder:
    if not isinstance(job.order, DatasetOrder):
        raise InternalError(f"Job {job.id} is to make a data set, but has no order for one.")
    return job.order
