"""Connections to Redis: made in one place, so that time-outs and retries are the same everywhere.

Conventions: clients return bytes. `unix:///path` URLs are Redis's own; kombu spells the same thing
`redis+socket:///path?virtual_host=N`.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import redis.asyncio
from redis import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    ExecAbortError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
)
from redis.retry import Retry

from worker.errors import StoreUnavailableError

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 10.0

# What redis-py raises when Redis is gone, still loading, full or a replica: nobody's request is at fault.
# Redis aborts a transaction when it refused one of its commands, which for the commands used here means
# that it is full.
UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    OutOfMemoryError,
    ExecAbortError,
    ReadOnlyError,
)


# The first that fits is told.
_REASONS: Mapping[type[Exception], str] = {
    OutOfMemoryError: "is full; it takes nothing new until something expires or is deleted",
    ExecAbortError: "is full; it takes nothing new until something expires or is deleted",
    BusyLoadingError: "is loading what it has kept",
    ReadOnlyError: "is a copy that takes nothing new",
    AuthenticationError: "does not let this service in",
    TimeoutError: "does not answer in time",
    ConnectionError: "cannot be reached",
}


def connect(url: str, *, patience: int = 1, waits: bool = False) -> Redis:
    """A client that tries again `patience` times, ever more slowly (up to 2 s), before it gives up.

    It does so when the connection breaks, and only if it `waits` also when no answer comes in time: who has
    somebody waiting says within `ANSWER_TIMEOUT_S` that Redis stands still.
    """
    worth_it = (ConnectionError, TimeoutError) if waits else (ConnectionError,)
    return Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=2.0), patience, worth_it),
    )


def connect_async(url: str, *, most: int) -> redis.asyncio.Redis:
    """A client for asyncio.

    It opens `most` connections; beyond them one waits for another's to be free, and fails as if Redis did not
    answer when none is for long.
    """
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=most,
        timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        retry=AsyncRetry(ExponentialWithJitterBackoff(base=0.05, cap=2.0), 1, (ConnectionError,)),
    )
    return redis.asyncio.Redis.from_pool(pool)


def broker_url(redis_url: str) -> str:
    """The same Redis as kombu spells it."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    credentials = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"redis+socket://{credentials}{parts.path}?virtual_host={database}"


def unavailable(error: Exception) -> StoreUnavailableError:
    """What to tell a client when one of `UNAVAILABLE` was raised."""
    why = next(
        (reason for kind, reason in _REASONS.items() if isinstance(error, kind)),
        "does not answer at the moment",
    )
    return StoreUnavailableError(f"The store of jobs {why}.")
