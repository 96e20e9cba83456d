"""Admission: a job enters the store, and with it all that its life needs, or nothing does.

Conventions: one script decides and writes, so that the bounds hold however many submit at once.
"""

from collections.abc import Sequence

from redis import Redis

from worker import jobs, keys
from worker.errors import PlaceTakenError, QueueFullError
from worker.idempotency import Mark, in_flight
from worker.jobs import Job
from worker.leases import LEASE_S

_ADMITTED, _FULL, _MARK_LOST = 1, 0, -1

# Unless somebody else has the mark of the job's idempotency key: takes a place in the queue, and the place
# that the job is to write to; writes the job; expects somebody to take it soon; writes it to the mark.
# A job that is there already was admitted by this very call: its answer was lost, and the client asked again.
_ADMIT = f"""
if redis.call('EXISTS', KEYS[3]) == 1 then return {_ADMITTED} end
if ARGV[11] ~= '' and redis.call('HGET', KEYS[11], 'token') ~= ARGV[11] then return {_MARK_LOST} end
if ARGV[7] ~= '' then
  local holder = redis.call('HGET', KEYS[8], ARGV[7])
  if holder and redis.call('EXISTS', ARGV[8] .. holder) == 1 then return holder end
end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return {_FULL} end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[8], ARGV[7], ARGV[2]) end
redis.call('ZADD', KEYS[1], 0, ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[2])
redis.call('ZADD', KEYS[9], 0, ARGV[2])
redis.call('HSET', KEYS[10], ARGV[2], ARGV[10])
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5])
for i = 12, #ARGV do redis.call('RPUSH', KEYS[4], ARGV[i]) end
redis.call('PEXPIRE', KEYS[4], ARGV[5])
redis.call('XADD', KEYS[5], '*', 'event', ARGV[4])
redis.call('PEXPIRE', KEYS[5], ARGV[5])
redis.call('ZADD', KEYS[6], ARGV[6], ARGV[2])
local t = redis.call('TIME')
redis.call('ZADD', KEYS[7], t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[9], ARGV[2])
if ARGV[11] ~= '' then
  redis.call('HDEL', KEYS[11], 'token')
  redis.call('HSET', KEYS[11], 'job', ARGV[2])
  redis.call('PEXPIRE', KEYS[11], ARGV[5])
end
return {_ADMITTED}
"""


class Admission:
    """The way into the store."""

    def __init__(self, redis: Redis) -> None:
        self._admit = redis.register_script(_ADMIT)

    def admit(
        self,
        job: Job,
        uploads: Sequence[bytes],
        *,
        lifetime_s: float,
        max_queued: int,
        mark: Mark | None = None,
    ) -> None:
        """Stores a queued job, with the mark of the key that it is made under, or raises.

        Raises
        ------
        QueueFullError, PlaceTakenError, IdempotencyInFlightError
        """
        lifetime_ms = round(lifetime_s * 1000)
        admitted = self._admit(
            keys=[
                keys.queue(job.queue),
                keys.JOBS,
                keys.record(job.id),
                keys.uploads(job.id),
                keys.events(job.id),
                keys.EXPIRIES,
                keys.LEASES,
                keys.PLACES,
                keys.jobs_of(job.audience),
                keys.AUDIENCES,
                keys.idempotency(job.owner, job.mark),
            ],
            args=[
                max_queued,
                job.id,
                jobs.to_record(job),
                jobs.to_event(job),
                lifetime_ms,
                round(job.created_at.timestamp() * 1000) + lifetime_ms,
                job.order.place if job.order is not None else "",
                keys.record(""),
                round(LEASE_S * 1000),
                job.audience,
                "" if mark is None else mark.token,
                *uploads,
            ],
        )
        if isinstance(admitted, bytes):
            holder = admitted.decode()
            raise PlaceTakenError(f"Job {holder} is at work on the same place.", extra={"job": holder})
        if admitted == _MARK_LOST:
            raise in_flight()
        if admitted == _FULL:
            raise QueueFullError(f"{max_queued} jobs wait already; try again later.")
