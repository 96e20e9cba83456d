"""Who still has to be told that a job has ended: the deliveries of webhooks, shared by all API processes.

Conventions: a delivery is written in the transaction that ends its job, so it is there exactly when the end
is, and it goes with the job. It is taken under a lease: whoever takes it has `LEASE_S` to tell the receiver
and to settle what came of it; then it is anybody's again. An attempt counts when it is taken, so that one
that kills its process counts too. A receiver is told at least once: again, when whoever told it could not
settle. Redis's own clock decides when a delivery is due.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from redis import Redis
from redis.client import Pipeline

from worker import keys
from worker.jobs import Job

LEASE_S = 60.0  # telling takes 10 s at the most, and looking up a name before it some time

_NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

# Whose delivery has gone with its job, or has come to its end, is passed over and forgotten.
_TAKE = f"""{_NOW}
while true do
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)
  if #due == 0 then return false end
  local delivery = ARGV[2] .. due[1] .. ARGV[3]
  if redis.call('HGET', delivery, 'status') == 'waiting' then
    local lease = string.format('%.0f', now + ARGV[1])
    redis.call('ZADD', KEYS[1], lease, due[1])
    return {{due[1], redis.call('HINCRBY', delivery, 'attempts', 1), lease}}
  end
  redis.call('ZREM', KEYS[1], due[1])
end
"""
# That the receiver was told is true whoever says it; anything else is said by who has the lease.
_SETTLE = f"""{_NOW}
if redis.call('HGET', KEYS[2], 'status') ~= 'waiting' then return 0 end
if ARGV[3] ~= 'delivered' and redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[2], 'status', ARGV[3], 'last_status', ARGV[4])
if ARGV[3] == 'waiting' then redis.call('ZADD', KEYS[1], now + ARGV[5], ARGV[1])
else redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1
"""


class DeliveryStatus(StrEnum):
    """What became of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"


@dataclass(frozen=True)
class Delivery:
    """How it stands with telling a job's end; `last_status` is the HTTP status last answered, if any was."""

    status: DeliveryStatus
    attempts: int = 0
    last_status: int | None = None


@dataclass(frozen=True)
class DueDelivery:
    """A delivery that was taken: whose end is to be told, for which time, and the lease that proves it."""

    job_id: str
    attempt: int
    lease: str


def schedule(pipe: Pipeline, job: Job) -> None:
    """Adds to the transaction that ends a job that whoever wants to hear of it is told, at once."""
    if job.callback is None or job.expires_at is None:
        return
    delivery = keys.webhook(job.id)
    pipe.hset(delivery, mapping={"status": str(DeliveryStatus.WAITING), "attempts": 0})
    pipe.pexpireat(delivery, job.expires_at)
    pipe.zadd(keys.WEBHOOKS, {job.id: 0})


class Webhooks:
    """The deliveries of all jobs."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._settle = redis.register_script(_SETTLE)

    def take(self) -> DueDelivery | None:
        """Takes the delivery that has been due for longest; None when none is."""
        before, after = keys.webhook("/").split("/")  # of the job's id in the name of its delivery
        args: list[str | int] = [round(LEASE_S * 1000), before, after]
        taken = cast(tuple[bytes, int, bytes] | None, self._take(keys=[keys.WEBHOOKS], args=args))
        return None if taken is None else DueDelivery(taken[0].decode(), taken[1], taken[2].decode())

    def settle(
        self, due: DueDelivery, status: DeliveryStatus, *, last_status: int | None, delay_s: float = 0.0
    ) -> bool:
        """Says what came of it; one that waits on is due again after `delay_s`.

        False when that is no longer for the caller to say: the delivery is gone, done, or somebody else's.
        """
        last = "" if last_status is None else last_status
        args: list[str | int] = [due.job_id, due.lease, str(status), last, round(delay_s * 1000)]
        return bool(self._settle(keys=[keys.WEBHOOKS, keys.webhook(due.job_id)], args=args))

    def state(self, job: Job) -> Delivery | None:
        """How it stands with telling the end of a job; None where nobody wants to hear of it."""
        if job.callback is None:
            return None
        found = cast(dict[bytes, bytes], self._redis.hgetall(keys.webhook(job.id)))
        if not found:
            return Delivery(DeliveryStatus.WAITING)
        last = found.get(b"last_status", b"")
        return Delivery(
            DeliveryStatus(found[b"status"].decode()), int(found[b"attempts"]), int(last) if last else None
        )
