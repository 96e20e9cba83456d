"""Rendered references of concepts: asked for by the API, made by a worker, kept for a while.

Conventions: a reference is rendered when somebody first wants to hear or see it. `ask` lets one of all who
want it send a message; whoever gets that fills in sound and picture, or the problem with them. A message that
is lost is sent again by who asks `ASKED_S` later; one that waited longer is no longer worth the work. Their
messages wait among those of jobs, so no more than `MOST_ASKED` may: what somebody sends to be analysed has
little before it, however many look through the concepts. Only the `MOST_KEPT` newest are kept.
"""

import time
from dataclasses import dataclass
from typing import Any, cast

from pydantic import TypeAdapter
from redis import Redis

from worker import keys
from worker.errors import ReferencesWaitError
from worker.problems import Problem
from worker.questions import ModelRef

ASKED_S = 20.0
MOST_ASKED = 4  # some 0.2 s each, on a busy machine more than a second
KEPT_S = 3_600.0
FAILED_S = 30.0  # a problem may pass
MOST_KEPT = 200

_NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

_ASK = f"""{_NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return -1 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return 1
"""
_IS_ASKED = f"""{_NOW}
local until_ms = redis.call('ZSCORE', KEYS[1], ARGV[1])
return until_ms and tonumber(until_ms) > now and 1 or 0
"""


@dataclass(frozen=True)
class Reference:
    """A reference of a channel; place 0 is the strongest."""

    model: ModelRef
    layer: str
    channel: int
    place: int

    @property
    def name(self) -> str:
        """What it is known by."""
        return f"{self.model.id}:{self.model.sha256}:{self.layer}:{self.channel}:{self.place}"


@dataclass(frozen=True)
class Rendered:
    """A reference as one hears and sees it."""

    wav: bytes
    png: bytes


_REFERENCE = TypeAdapter(Reference)
_PROBLEM = TypeAdapter(Problem)


class References:
    """The references of all models."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ask = redis.register_script(_ASK)
        self._is_asked = redis.register_script(_IS_ASKED)

    def find(self, reference: Reference) -> Rendered | Problem | None:
        """What became of it; None while nobody has rendered it."""
        found = cast(dict[bytes, bytes], self._redis.hgetall(keys.reference(reference.name)))
        if b"problem" in found:
            return _PROBLEM.validate_json(found[b"problem"])
        return Rendered(found[b"wav"], found[b"png"]) if found else None

    def ask(self, reference: Reference) -> bool:
        """Whether a message has to be sent: it is not there, and nobody has asked for it lately.

        Raises
        ------
        ReferencesWaitError
            When as many others are asked for as may be.
        """
        asked = self._ask(
            keys=[keys.REFERENCES_ASKED, keys.reference(reference.name)],
            args=[reference.name, MOST_ASKED, round(ASKED_S * 1000)],
        )
        if asked == -1:
            raise ReferencesWaitError(
                f"{MOST_ASKED} references wait to be rendered already; try again later."
            )
        return bool(asked)

    def is_asked(self, reference: Reference) -> bool:
        """Whether somebody may still wait for it."""
        return bool(self._is_asked(keys=[keys.REFERENCES_ASKED], args=[reference.name]))

    def fill(self, reference: Reference, rendered: Rendered) -> None:
        """Keeps what was rendered, and lets go of what is too many."""
        self._keep(reference, {"wav": rendered.wav, "png": rendered.png}, KEPT_S)
        kept = self._redis.zcard(keys.REFERENCES)
        if kept > MOST_KEPT:
            oldest = cast(Any, self._redis.zpopmin(keys.REFERENCES, kept - MOST_KEPT))
            self._redis.delete(*(keys.reference(name.decode()) for name, _ in oldest))

    def fail(self, reference: Reference, problem: Problem) -> None:
        """Tells those who wait why there is nothing."""
        self._keep(reference, {"problem": _PROBLEM.dump_json(problem)}, FAILED_S)

    def _keep(self, reference: Reference, fields: dict[str, bytes], lifetime_s: float) -> None:
        key, now = keys.reference(reference.name), time.time()
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.zrem(keys.REFERENCES_ASKED, reference.name)
            pipe.hset(key, mapping=cast(Any, fields))
            pipe.pexpire(key, round(lifetime_s * 1000))
            pipe.zremrangebyscore(keys.REFERENCES, "-inf", now - KEPT_S)
            pipe.zadd(keys.REFERENCES, {reference.name: now})
            pipe.execute()


def to_message(reference: Reference) -> dict[str, Any]:
    """The reference as JSON for a message."""
    return cast(dict[str, Any], _REFERENCE.dump_python(reference, mode="json"))


def from_message(message: dict[str, Any]) -> Reference:
    """The reference of a message."""
    return _REFERENCE.validate_python(message)
