"""The units of a large job's work: cut once, taken one by one by whoever is free, each finished once.

Conventions: a unit is a name, such as a shard's. It is pending, taken (it has a lease, `job/unit`, and is not
pending), or finished. Whoever gets a message about the job takes whatever is pending first, so a lost message
loses no unit. `END` stands for what remains to do once all units are finished. Taking and finishing are
scripts: all or nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from redis import Redis

from worker import keys
from worker.errors import AttemptLostError
from worker.leases import LEASE_S, LapsedLease

END = "end"
_LEASE_MS = round(LEASE_S * 1000)
_NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

# Opens the work unless it is open; finished units come with their number of steps.
_OPEN = f"""{_NOW}
if redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
local units = cjson.decode(ARGV[1])
local done, total, count = 0, 0, 0
for name, unit in pairs(units) do
  total = total + unit[1]
  if unit[2] then
    redis.call('SADD', KEYS[2], name)
    done = done + unit[1]
  else
    redis.call('ZADD', KEYS[1], 0, name)
  end
  count = count + 1
end
redis.call('HSET', KEYS[4], 'units', count, 'done', done, 'total', total)
redis.call('HSET', KEYS[4], 'done_before', done, 'began_ms', now)
local lifetime = redis.call('PTTL', KEYS[5])
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], lifetime) end
return 1
"""
# Takes the first pending unit, or the end.
_TAKE = f"""{_NOW}
local count = redis.call('HGET', KEYS[4], 'units')
if not count then return false end
local first = redis.call('ZPOPMIN', KEYS[1])
local unit = first[1]
if not unit then
  if redis.call('SCARD', KEYS[2]) < tonumber(count) then return false end
  unit = ARGV[3]
  if redis.call('HEXISTS', KEYS[6], ARGV[1] .. unit) == 1 then return false end
end
redis.call('ZADD', KEYS[5], now + ARGV[4], ARGV[1] .. unit)
redis.call('HSET', KEYS[6], ARGV[1] .. unit, ARGV[2])
local attempts = redis.call('HINCRBY', KEYS[3], unit, 1)
redis.call('PEXPIRE', KEYS[3], math.max(redis.call('PTTL', KEYS[4]), 1))
return {{unit, attempts}}
"""
# Finishes a unit, whoever holds it by now: it is the same whoever did it.
_FINISH = """
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[4]) == 1 and redis.call('SADD', KEYS[2], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[4], 'done', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[4]))
end
return 1
"""
# Makes a unit pending again whose holder is dead.
_RETURN = """
if redis.call('ZSCORE', KEYS[5], ARGV[1] .. ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('ZREM', KEYS[5], ARGV[1] .. ARGV[2])
redis.call('HDEL', KEYS[6], ARGV[1] .. ARGV[2])
if ARGV[5] == '0' then redis.call('HINCRBY', KEYS[3], ARGV[2], -1) end
if ARGV[2] ~= ARGV[4] and redis.call('EXISTS', KEYS[4]) == 1
    and redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 0 then
  redis.call('ZADD', KEYS[1], 0, ARGV[2])
  redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', KEYS[4]))
end
return 1
"""


@dataclass(frozen=True)
class Tally:
    """How far the units are: `done` of `total` steps, `done_before` of them when the work was opened."""

    done: int
    total: int
    done_before: int
    elapsed_s: float


@dataclass(frozen=True)
class Taken:
    """A unit to do, and how often it was begun, this time included."""

    unit: str
    attempts: int


@dataclass(frozen=True)
class Unit:
    """A unit as it is when the work is opened."""

    n_steps: int
    is_finished: bool


class Units:
    """The units of one job."""

    def __init__(self, redis: Redis, job_id: str) -> None:
        self._redis = redis
        self._job_id = job_id
        self._open = redis.register_script(_OPEN)
        self._take = redis.register_script(_TAKE)
        self._finish = redis.register_script(_FINISH)
        self._return = redis.register_script(_RETURN)
        self._own = list(keys.units(job_id))
        self._with_leases = [*self._own, keys.LEASES, keys.LEASE_HOLDERS]

    def open(self, units: Mapping[str, Unit]) -> None:
        """Says what is to be done; does nothing when that was said before."""
        described = json.dumps({name: [unit.n_steps, unit.is_finished] for name, unit in units.items()})
        self._open(keys=[*self._own, keys.record(self._job_id)], args=[described])

    def are_open(self) -> bool:
        """Whether it was said what is to be done."""
        return bool(self._redis.exists(keys.tally(self._job_id)))

    def take(self, holder: str) -> Taken | None:
        """Takes a unit, with its lease; None when nothing is left for this moment."""
        found = self._take(keys=self._with_leases, args=[f"{self._job_id}/", holder, END, _LEASE_MS])
        if found is None:
            return None
        unit, attempts = cast(tuple[bytes, int], found)
        return Taken(unit.decode(), attempts)

    def finish(self, unit: str, n_steps: int) -> Tally:
        """Says that a unit is done, by now at the latest; tells how far the work is.

        Raises
        ------
        AttemptLostError
            When there is no such work any more.
        """
        self._finish(keys=self._own, args=[unit, n_steps])
        return self.tally()

    def give_back(self, lapsed: LapsedLease, *, counts: bool = True) -> None:
        """Makes a unit pending again whose holder has died, unless somebody was quicker.

        An attempt that does not count was stopped in haste, through no fault of the unit's.
        """
        lease = [f"{self._job_id}/", lapsed.unit or "", lapsed.lapsed_at]
        self._return(keys=self._with_leases, args=[*lease, END, int(counts)])

    def tally(self) -> Tally:
        """How far the work is; raises like `finish`."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.tally(self._job_id))
            pipe.time()
            fields, (seconds, microseconds) = pipe.execute()
        if not fields:
            raise AttemptLostError(f"The units of job {self._job_id} are no longer wanted.")
        counts = {name.decode(): int(value) for name, value in fields.items()}
        elapsed_s = seconds + microseconds / 1e6 - counts["began_ms"] / 1000
        return Tally(counts["done"], counts["total"], counts["done_before"], elapsed_s)

    def n_free(self) -> int:
        """How many could be taken at this moment, the end included."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zcard(keys.pending_units(self._job_id))
            pipe.scard(keys.finished_units(self._job_id))
            pipe.hget(keys.tally(self._job_id), "units")
            pipe.hexists(keys.LEASE_HOLDERS, f"{self._job_id}/{END}")
            pending, finished, count, is_ending = pipe.execute()
        if pending:
            return cast(int, pending)
        return int(count is not None and finished >= int(count) and not is_ending)
