"""Leases: who is at work on what, until when, and what has nobody.

Conventions: every job that has not ended has an entry, from its acceptance on; a unit of a job's work has one
while it is being done. An entry is either *held*, by an attempt that renews it every `RENEW_S` from a thread
beside the work, or merely *expected*: a message is on its way. When its time is over, it is the reaper's
(`worker.reaper`): a dead holder's work is handed out anew, whatever the broker knows. Redis's own clock
decides, so that machines need not agree on the time. Each operation is one script, all or nothing.

While Redis was away or stood still, its clock went on and nobody could renew anything. So when no reaper has
swept for `STALL_S`, every holder is given `GRACE_S` to say that it lives before its work is handed out.

Two attempts may both believe in their lease for a moment (after a process was stopped for a while, say), so a
lease keeps work from being done twice, while the job's record alone decides whose result counts.
"""

import logging
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from redis import Redis

from worker import keys
from worker.connection import UNAVAILABLE
from worker.logs import carried

log = logging.getLogger(__name__)

LEASE_S = 10.0
RENEW_S = 2.5
STALL_S = 6.0
GRACE_S = 2 * RENEW_S
AT = "@"
"""Parts the name of a holder: on behalf of what, and which process."""
_LEASE_MS = round(LEASE_S * 1000)

_NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

_TAKE = f"""{_NOW}
local holder = redis.call('HGET', KEYS[2], ARGV[1])
if holder and (ARGV[3] == '' or string.sub(holder, 1, string.len(ARGV[3])) ~= ARGV[3]) then
  local lapses = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if lapses and tonumber(lapses) > now then return 0 end
end
redis.call('ZADD', KEYS[1], now + ARGV[4], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
"""
_RENEW = f"""{_NOW}
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[1], 'XX', now + ARGV[3], ARGV[1])
return 1
"""
_RELEASE = f"""{_NOW}
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[4] == '1' then redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
else redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1
"""
_LAPSED = f"""{_NOW}
local latest = now + ARGV[2]
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', latest, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local entries = {{}}
for i = 1, #found, 2 do
  entries[#entries + 1] = {{found[i], found[i + 1], redis.call('HEXISTS', KEYS[2], found[i])}}
end
return entries
"""
# Begins a sweep unless another was begun less than ARGV[1] ago.
_SWEEP = f"""{_NOW}
local last = tonumber(redis.call('GET', KEYS[3]) or 0)
if now >= last and now - last < tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[3], string.format('%.0f', now))
if now - last < tonumber(ARGV[2]) then return 1 end
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[3])
for _, name in ipairs(found) do
  if redis.call('HEXISTS', KEYS[2], name) == 1 then redis.call('ZADD', KEYS[1], now + ARGV[3], name) end
end
return 1
"""
_EXPECT = f"""{_NOW}
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return 1
"""
_DROP = """
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
"""


@dataclass(frozen=True)
class LapsedLease:
    """An entry whose time is over; `lapsed_at` tells it from the same entry taken anew."""

    name: str
    lapsed_at: str
    was_held: bool

    @property
    def job_id(self) -> str:
        """The job that it is about."""
        return self.name.partition("/")[0]

    @property
    def unit(self) -> str | None:
        """The unit of the job's work; None for the job as a whole."""
        return self.name.partition("/")[2] or None


class Leases:
    """The leases of all jobs."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)
        self._lapsed = redis.register_script(_LAPSED)
        self._expect = redis.register_script(_EXPECT)
        self._drop = redis.register_script(_DROP)
        self._sweep = redis.register_script(_SWEEP)
        self._keys = [keys.LEASES, keys.LEASE_HOLDERS]

    def take(self, name: str, holder: str, *, successor_of: str = "") -> bool:
        """Takes what nobody holds, or whose holder's name begins like that of one who is known to be dead."""
        return bool(self._take(keys=self._keys, args=[name, holder, successor_of, _LEASE_MS]))

    def renew(self, name: str, holder: str) -> bool:
        """Holds on; False when somebody else has it, or nobody."""
        return bool(self._renew(keys=self._keys, args=[name, holder, _LEASE_MS]))

    def release(self, name: str, holder: str, *, keep: bool) -> None:
        """Lets go of a lease that is still the holder's; with `keep` somebody is expected to take it soon."""
        self._release(keys=self._keys, args=[name, holder, _LEASE_MS, int(keep)])

    def begin_sweep(self, every_s: float) -> bool:
        """Whether it is time to look after what has lapsed; False when another has done so just now."""
        times = [round(seconds * 1000) for seconds in (every_s, STALL_S, GRACE_S)]
        return bool(self._sweep(keys=[*self._keys, keys.SWEPT], args=times))

    def lapsed(self, limit: int, *, ahead_s: float = 0.0) -> tuple[LapsedLease, ...]:
        """Entries whose time is over, or will be `ahead_s` from now, the longest first."""
        found = cast(
            list[tuple[bytes, bytes, int]], self._lapsed(keys=self._keys, args=[limit, round(ahead_s * 1000)])
        )
        return tuple(LapsedLease(name.decode(), at.decode(), bool(held)) for name, at, held in found)

    def expect(self, lapsed: LapsedLease) -> bool:
        """Gives a lapsed entry its time anew, held by nobody; False when somebody was quicker."""
        return bool(self._expect(keys=self._keys, args=[lapsed.name, lapsed.lapsed_at, _LEASE_MS]))

    def drop(self, lapsed: LapsedLease) -> None:
        """Forgets a lapsed entry, unless somebody has taken it meanwhile."""
        self._drop(keys=self._keys, args=[lapsed.name, lapsed.lapsed_at])

    def is_held_for(self, name: str, message: str) -> bool:
        """Whether the holder took it on behalf of this message."""
        holder = cast(bytes | None, self._redis.hget(keys.LEASE_HOLDERS, name))
        return holder is not None and holder.decode().startswith(f"{message}:")

    def held_by(self, process: str) -> tuple[LapsedLease, ...]:
        """What the processes whose names begin like this hold; they are known to be dead."""
        names = [
            name.decode()
            for name, holder in self._redis.hscan_iter(keys.LEASE_HOLDERS, count=1_000)
            if holder.decode().partition(AT)[2].startswith(process)
        ]
        times = ((name, self._redis.zscore(keys.LEASES, name)) for name in names)
        return tuple(LapsedLease(name, f"{at:.0f}", True) for name, at in times if at is not None)

    def held(self, job_id: str) -> int:
        """How many units of a job's work somebody is at."""
        found = self._redis.hscan_iter(keys.LEASE_HOLDERS, match=f"{job_id}/*", count=1_000)
        return sum(1 for _ in found)


class Lease:
    """A lease that was taken, renewed while the context lasts and released after it.

    While it `is_kept`, somebody else is expected to take it soon once it is released.
    """

    def __init__(self, leases: Leases, name: str, holder: str) -> None:
        self.is_kept = True
        self._leases = leases
        self._name = name
        self._holder = holder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=carried(self._renew), name=f"lease {name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._leases.release(self._name, self._holder, keep=self.is_kept)
        except UNAVAILABLE as reason:
            log.warning("a lease has to lapse", extra={"lease": self._name, "error": str(reason)})

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                if not self._leases.renew(self._name, self._holder):
                    log.info("a lease is somebody else's", extra={"lease": self._name})
                    return
            except UNAVAILABLE as error:
                log.warning("could not renew a lease", extra={"lease": self._name, "error": str(error)})
