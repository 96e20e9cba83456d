"""Which jobs there are for whom: lists of them, and whether a certain one is there.

Conventions: what an audience may see stands in an index of its own, in the order of the ids, which is that of
time; so who may see few jobs need not read past everybody else's. Records are read only of what may be seen.
What a version of the program without audiences has admitted, or still admits beside this one, is entered in
the indexes by the reaper (`adopt`), and by whoever looks for it by its id before that.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis import Redis

from worker import jobs, keys
from worker.filters import ALL, JobFilter
from worker.ids import first_id_at
from worker.jobs import Job
from worker.tombstones import absence

# How many records are read at a time where not all are wanted, and for one page at the most: whoever looks
# for a rare job turns pages, and keeps nobody else waiting.
_FILTERED_BATCH = 100
LONGEST_SCAN = 500
# How many jobs are looked at at a time, of those that an earlier version has left.
_ADOPTED_AT_ONCE = 200
# A job's id is made a moment before the job, this much earlier at the most.
_ID_LEAD_MS = 5_000


@dataclass(frozen=True)
class JobPage:
    """Some of the jobs, newest first; `next_before` is the id to go on from, None at the end.

    A page of few wanted jobs among many others may be shorter than asked for, or empty, and yet go on.
    """

    jobs: tuple[Job, ...]
    next_before: str | None


class Listing:
    """The indexes of all jobs."""

    def __init__(self, redis: Redis, sweep: Callable[[], None]) -> None:
        self._redis = redis
        self._sweep = sweep  # takes expired jobs out of the indexes

    def page(
        self, limit: int, before: str | None = None, *, audiences: Collection[str], wanted: JobFilter = ALL
    ) -> JobPage:
        """Up to `limit` wanted jobs of these audiences that are older than `before`, newest first."""
        self._sweep()
        shown: list[Job] = []
        n_scanned = 0
        newest, oldest = _newest_bound(before, wanted.created_before), _oldest_bound(wanted.created_after)
        while True:
            # One more than asked for tells whether there is a next page.
            n_read = limit - len(shown) + 1 if wanted == ALL else _FILTERED_BATCH
            ids = self._ids_between(newest, oldest, n_read, audiences)
            records = cast(list[bytes | None], self._redis.mget([keys.record(i) for i in ids])) if ids else []
            found = (jobs.from_record(record) for record in records if record is not None)
            shown += (job for job in found if wanted.holds(job))
            n_scanned += len(ids)
            if len(shown) > limit:
                return JobPage(tuple(shown[:limit]), next_before=shown[limit - 1].id)
            if len(ids) < n_read:
                return JobPage(tuple(shown), next_before=None)
            if n_scanned >= LONGEST_SCAN:
                return JobPage(tuple(shown), next_before=ids[-1])
            newest = f"({ids[-1]}"

    def require_sight(self, job_id: str, audiences: Collection[str]) -> None:
        """Raises as if the job were not there when none of these audiences may see it, or what became of it.

        Decided without the record, so that its size does not show in the time that it takes.

        Raises
        ------
        UnknownJobError, JobExpiredError, JobDeletedError
        """
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.AUDIENCES, job_id)
            pipe.get(keys.tombstone(job_id))
            pipe.zcard(keys.JOBS)
            pipe.hlen(keys.AUDIENCES)
            answers = pipe.execute()
        audience, tombstone = cast(tuple[bytes | None, bytes | None], tuple(answers[:2]))
        n_kept, n_listed = cast(tuple[int, int], tuple(answers[2:]))
        if audience is None and n_kept > n_listed:
            self._list([job_id])  # perhaps nobody has come to `adopt` it yet
            audience = cast(bytes | None, self._redis.hget(keys.AUDIENCES, job_id))
        if audience is None or audience.decode() not in audiences:
            raise absence(job_id, None if audience is not None else tombstone, audiences)

    def adopt(self) -> None:
        """Lists the jobs that a version of the program without audiences has admitted, in slices."""
        last = ""
        while self._redis.zcard(keys.JOBS) > self._redis.hlen(keys.AUDIENCES):
            newer = f"({last}" if last else "-"
            members = self._redis.zrange(keys.JOBS, newer, "+", bylex=True, offset=0, num=_ADOPTED_AT_ONCE)
            ids = [member.decode() for member in cast(list[bytes], members)]
            if not ids:
                return
            listed = cast(list[bytes | None], self._redis.hmget(keys.AUDIENCES, ids))
            self._list([job_id for job_id, audience in zip(ids, listed, strict=True) if audience is None])
            last = ids[-1]

    def _list(self, job_ids: Sequence[str]) -> None:
        """Says of jobs who may see them, by their records."""
        if not job_ids:
            return
        records = cast(list[bytes | None], self._redis.mget([keys.record(job_id) for job_id in job_ids]))
        with self._redis.pipeline(transaction=True) as pipe:
            for job in (jobs.from_record(record) for record in records if record is not None):
                pipe.zadd(keys.jobs_of(job.audience), {job.id: 0})
                pipe.hset(keys.AUDIENCES, job.id, job.audience)
            pipe.execute()

    def _ids_between(self, newest: str, oldest: str, limit: int, audiences: Collection[str]) -> list[str]:
        """The newest ids of all these audiences' together, between two bounds as Redis writes them."""
        with self._redis.pipeline(transaction=False) as pipe:
            for audience in audiences:
                index = keys.jobs_of(audience)
                pipe.zrange(index, newest, oldest, bylex=True, desc=True, offset=0, num=limit)
            found = cast(list[list[bytes]], pipe.execute())
        merged = sorted((member.decode() for members in found for member in members), reverse=True)
        return merged[:limit]


def _newest_bound(before: str | None, created_before: datetime | None) -> str:
    """Where to begin, as Redis writes it. A job made before a moment has no later id than the moment's."""
    bounds = [] if before is None else [before]
    if created_before is not None:
        bounds.append(first_id_at(_milliseconds(created_before) + 1))
    return f"({min(bounds)}" if bounds else "+"


def _oldest_bound(created_after: datetime | None) -> str:
    """Where to end."""
    return "-" if created_after is None else f"[{first_id_at(_milliseconds(created_after) - _ID_LEAD_MS)}"


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
