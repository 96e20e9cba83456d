"""The reaper: sees to it that nothing which was accepted is left without somebody at work on it.

Conventions: every pool process of every worker runs one, and they take turns, one sweep every `SWEEP_S`. A
sweep looks at leases that have lapsed (`worker.leases`). Where a holder has died, its work is handed out anew
at once; where a message was merely expected to be taken, it is sent again only if none about the job waits in
its queue, for then it is lost or in the hands of the dead. What is handed out anew comes before all that wait
in its queue. A message too many does no harm: who finds nothing to do leaves.
"""

import logging
import threading
import time
from contextlib import suppress

from redis import Redis

from worker.attempt import ABSENT
from worker.catalog import Catalog
from worker.connection import UNAVAILABLE
from worker.errors import AttemptLostError, StoreUnavailableError
from worker.jobs import Job, JobKind, QueueName
from worker.leases import LapsedLease, Leases
from worker.logs import bound
from worker.queue import JobQueue, waiting_jobs
from worker.store import JobStore
from worker.units import Units

log = logging.getLogger(__name__)

SWEEP_S = 2.0
_BATCH = 200


class Reaper:
    """Sweeps again and again until it is stopped."""

    def __init__(self, redis: Redis, store: JobStore, queue: JobQueue) -> None:
        self._redis = redis
        self._store = store
        self._queue = queue
        self._leases = Leases(redis)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sweep_on, name="reaper", daemon=True)

    def start(self) -> None:
        """Begins to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the sweep of this moment."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def sweep(self) -> None:
        """Looks after every lapsed lease, unless another reaper has just done so."""
        if not self._leases.begin_sweep(0.9 * SWEEP_S):
            return
        self._store.adopt()
        waiting = _Waiting(self._redis)
        until = time.monotonic() + SWEEP_S
        while time.monotonic() < until and not self._stopped.is_set():
            found = self._leases.lapsed(_BATCH)
            for lapsed in found:
                self._look_after(lapsed, waiting)
            if len(found) < _BATCH:
                return

    def take_back(self, process: str) -> None:
        """Hands out at once what the processes whose names begin like this were at work on.

        They were stopped in haste, so their attempts do not count.
        """
        for lease in self._leases.held_by(process):
            with suppress(AttemptLostError, *ABSENT):
                job = self._store.get(lease.job_id)
                if lease.unit is not None:
                    Units(self._redis, job.id).give_back(lease, counts=False)
                elif job.attempt_token is not None:
                    job = self._store.give_back(job.id, job.attempt_token)
                    self._leases.expect(lease)
                self._queue.send_again(job)
                log.info("given back", extra={"job": job.id, "unit": lease.unit})

    def _look_after(self, lapsed: LapsedLease, waiting: "_Waiting") -> None:
        try:
            job = self._store.get(lapsed.job_id)
        except ABSENT:
            self._leases.drop(lapsed)
            return
        with bound(request=job.request_id, job=job.id):
            self._look_after_job(job, lapsed, waiting)

    def _look_after_job(self, job: Job, lapsed: LapsedLease, waiting: "_Waiting") -> None:
        if job.status.is_terminal:
            self._leases.drop(lapsed)
        elif lapsed.unit is not None:
            log.warning("somebody died at work", extra={"unit": lapsed.unit})
            Units(self._redis, job.id).give_back(lapsed)
            self._queue.send_again(job)
        elif not lapsed.was_held and waiting.has(job):
            self._leases.expect(lapsed)
        elif self._leases.expect(lapsed):
            if lapsed.was_held:
                log.warning("somebody died at work")
            self._queue.send_again(job, times=n_messages(self._redis, job))

    def _sweep_on(self) -> None:
        while not self._stopped.wait(SWEEP_S / 2):
            try:
                self.sweep()
            except (StoreUnavailableError, *UNAVAILABLE) as error:
                log.warning("could not sweep", extra={"error": str(error)})
            except Exception:
                log.exception("fault in the reaper")


class _Waiting:
    """Which jobs have messages that wait, as it was when this sweep first asked."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._jobs: dict[QueueName, frozenset[str]] = {}

    def has(self, job: Job) -> bool:
        """Whether one about this job does."""
        if job.queue not in self._jobs:
            self._jobs[job.queue] = waiting_jobs(self._redis, job.queue)
        return job.id in self._jobs[job.queue]


def n_messages(redis: Redis, job: Job) -> int:
    """How many messages it takes to keep everybody busy with a job that nobody has a message of.

    One, unless the job's work is cut into units: then one for each process that is at none of them.
    """
    if job.kind is not JobKind.DATASET:
        return 1
    units = Units(redis, job.id)
    if not units.are_open():
        return 1
    n_idle = len(Catalog(redis).workers()) - Leases(redis).held(job.id)
    return min(units.n_free(), max(n_idle, 1))
