"""Idempotency: a request that is sent again under the same key makes no second job.

Conventions: a *mark* in Redis stands for a client's key, one for each caller and call. A request takes it
while it is being decided, for `DECIDING_S` at the longest; admission (`worker.admission`) checks that it
still has it and writes the job's id to it, in the same step as the job. So of two requests at once, and of a
request whose answer was lost, there is one job at most, whoever dies when. From then on the mark lives as
long as its job: with the job's expiry or deletion the key is free. A request that is refused frees its key at
once. Each operation is one script, all or nothing.
"""

import secrets
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

_OTHER = b"other"
_IN_FLIGHT = b"in flight"

_TAKE = f"""
local mark = redis.call('HMGET', KEYS[1], 'fingerprint', 'job', 'token')
if mark[3] ~= ARGV[2] and mark[1] and (not mark[2] or redis.call('EXISTS', ARGV[4] .. mark[2]) == 1) then
  if mark[1] ~= ARGV[1] then return '{_OTHER.decode()}' end
  return mark[2] or '{_IN_FLIGHT.decode()}'
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
        self._free = redis.register_script(_FREE)

    def take(self, owner: str, mark: Mark) -> str | None:
        """Takes the mark for a request; the id of the job that an earlier one made, if there is one.

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


def free(pipe: Pipeline, job: Job) -> None:
    """Adds to the transaction that removes a job that its key is free."""
    if job.mark:
        pipe.eval(_FREE, 1, keys.idempotency(job.owner, job.mark), "job", job.id)
