"""Idempotency: a request that is sent again under the same key makes no second job.

Conventions: a *mark* in Redis stands for a client's key, one for each caller and call. A request takes it
while it is being decided, for `DECIDING_S` at the longest; admission (`worker.admission`) checks that it
still has it and writes the job's id to it, in the same step as the job. So of two requests at once, and of a
request whose answer was lost, there is one job at most, whoever dies when. From then on the mark lives as
long as its job: with the job's expiry or deletion the key is free. A request that is refused frees its key at
once. Each operation is one script, all or nothing.

A request for several jobs has a mark for the *whole* of it, which holds the jobs' ids, and one for each
*place* in it, which is one job's; the name of the latter is that of the former, a colon and the place. The
whole's lives as long as any of its jobs.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from redis import Redis
from redis.client import Pipeline

from worker import keys
from worker.errors import IdempotencyInFlightError, IdempotencyKeyReusedError
from worker.jobs import Job

# Longer than it takes to decide on the largest form; a request that takes longer still loses its mark, and is
# not admitted. After this time the key of a request whose process has died is free.
DECIDING_S = 60.0

_OF_PLACE = ":"
_OTHER = b"other"
_IN_FLIGHT = b"in flight"

_TAKE = f"""
local mark = redis.call('HMGET', KEYS[1], 'fingerprint', 'job', 'token')
local stands = mark[3] and true
for id in string.gmatch(mark[2] or '', '%S+') do
  stands = stands or redis.call('EXISTS', ARGV[4] .. id) == 1
end
if mark[3] ~= ARGV[2] and stands then
  if mark[1] ~= ARGV[1] then return '{_OTHER.decode()}' end
  return mark[3] and '{_IN_FLIGHT.decode()}' or mark[2]
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return false
"""
_KEEP = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return end
local left_ms = redis.call('PTTL', KEYS[2])
if left_ms <= 0 then return redis.call('DEL', KEYS[1]) end
redis.call('HDEL', KEYS[1], 'token')
redis.call('HSET', KEYS[1], 'job', ARGV[2])
redis.call('PEXPIRE', KEYS[1], left_ms)
"""
_RENEW = "if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"
# The mark of a whole request lives as long as the last of its jobs.
_SETTLE = """
local longest_ms = 0
for id in string.gmatch(redis.call('HGET', KEYS[1], 'job') or '', '%S+') do
  longest_ms = math.max(longest_ms, redis.call('PTTL', ARGV[1] .. id))
end
if longest_ms > 0 then redis.call('PEXPIRE', KEYS[1], longest_ms) else redis.call('DEL', KEYS[1]) end
"""
_KEEP_ALL = f"""
local mark = redis.call('HMGET', KEYS[1], 'fingerprint', 'job', 'token')
if mark[1] ~= ARGV[2] or (mark[3] and mark[3] ~= ARGV[3]) then return end
local ids = mark[2] or ''
for i = 4, #ARGV do
  if not string.find(ids, ARGV[i], 1, true) then ids = ids .. ' ' .. ARGV[i] end
end
redis.call('HDEL', KEYS[1], 'token')
redis.call('HSET', KEYS[1], 'job', ids)
{_SETTLE}
"""
_JOB_CHANGED = f"if redis.call('HEXISTS', KEYS[1], 'token') == 1 then return end {_SETTLE}"
# ARGV: the field that says whose the mark is, and whose it has to be.
_FREE = "if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('DEL', KEYS[1]) end"


@dataclass(frozen=True)
class Mark:
    """A client's key as one request takes it: its name, what is asked for, and which request this is."""

    name: str
    fingerprint: str
    token: str = field(default_factory=lambda: secrets.token_hex(16))


class Marks:
    """The marks of all keys."""

    def __init__(self, redis: Redis) -> None:
        self._take = redis.register_script(_TAKE)
        self._keep = redis.register_script(_KEEP)
        self._keep_all = redis.register_script(_KEEP_ALL)
        self._renew = redis.register_script(_RENEW)
        self._free = redis.register_script(_FREE)

    def take(self, owner: str, mark: Mark) -> str | None:
        """Takes the mark for a request; the id of the job that an earlier one made, if there is one.

        Of the mark of a whole request, their ids, separated by spaces.

        Raises
        ------
        IdempotencyKeyReusedError
            When the earlier request asked for something else.
        IdempotencyInFlightError
            When it has not been decided yet.
        """
        found = cast(
            bytes | None,
            self._take(
                keys=[keys.idempotency(owner, mark.name)],
                args=[mark.fingerprint, mark.token, round(DECIDING_S * 1000), keys.record("")],
            ),
        )
        if found == _OTHER:
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key was sent with another request before; a new request needs a new key."
            )
        if found == _IN_FLIGHT:
            raise in_flight()
        return None if found is None else found.decode()

    def keep(self, owner: str, mark: Mark, job: Job) -> None:
        """The request is answered with a job that another request has made."""
        self._keep(keys=[keys.idempotency(owner, mark.name), keys.record(job.id)], args=[mark.token, job.id])

    def keep_all(self, owner: str, mark: Mark, made: Iterable[Job]) -> None:
        """The whole request has been decided, now or once more: with these jobs, besides those it had."""
        ids = [job.id for job in made]
        args = [keys.record(""), mark.fingerprint, mark.token, *ids]
        self._keep_all(keys=[keys.idempotency(owner, mark.name)], args=args)

    def renew(self, owner: str, mark: Mark) -> None:
        """The request takes longer to be decided on."""
        deciding_ms = round(DECIDING_S * 1000)
        self._renew(keys=[keys.idempotency(owner, mark.name)], args=[mark.token, deciding_ms])

    def free(self, owner: str, mark: Mark) -> None:
        """The request was refused. Does nothing once the mark has a job."""
        self._free(keys=[keys.idempotency(owner, mark.name)], args=["token", mark.token])


def in_flight() -> IdempotencyInFlightError:
    """What to tell a request whose mark another one has."""
    return IdempotencyInFlightError("A request with this Idempotency-Key is being decided at this moment.")


def require_taken(pipe: Pipeline, owner: str, mark: Mark | None) -> None:
    """Raises `IdempotencyInFlightError` unless the request still has its mark, which the pipeline watches."""
    if mark is None:
        return
    token = cast(bytes | None, pipe.hget(keys.idempotency(owner, mark.name), "token"))
    if token is None or token.decode() != mark.token:
        raise in_flight()


def keep(pipe: Pipeline, job: Job) -> None:
    """Adds to the transaction that stores a job that its mark is the job's; `expire` has to follow."""
    if job.mark:
        pipe.hdel(keys.idempotency(job.owner, job.mark), "token")
        pipe.hset(keys.idempotency(job.owner, job.mark), "job", job.id)


def expire(pipe: Pipeline, job: Job, expires_ms: int) -> None:
    """Adds to the transaction that ends a job that its mark goes when the job does."""
    if job.mark:
        pipe.pexpireat(keys.idempotency(job.owner, job.mark), expires_ms)
        _tell_whole(pipe, job)


def free(pipe: Pipeline, job: Job) -> None:
    """Adds to the transaction that removes a job, after its record is, that its key is free."""
    if job.mark:
        pipe.eval(_FREE, 1, keys.idempotency(job.owner, job.mark), "job", job.id)
        _tell_whole(pipe, job)


def name_of_place(whole: str, place: int) -> str:
    """The name of the mark of one place in a request for several jobs."""
    return f"{whole}{_OF_PLACE}{place}"


def _tell_whole(pipe: Pipeline, job: Job) -> None:
    whole, is_of_place, _ = job.mark.partition(_OF_PLACE)
    if is_of_place:
        pipe.eval(_JOB_CHANGED, 1, keys.idempotency(job.owner, whole), keys.record(""))
