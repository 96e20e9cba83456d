"""What the tests of the worker share: an empty Redis, and the store of jobs in it."""

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import LIFETIMES
from worker.store import JobStore


@pytest.fixture
def redis(redis_url: str) -> Redis:
    """A client of an empty Redis."""
    return Redis.from_url(redis_url)


@pytest.fixture
def store(redis: Redis) -> JobStore:
    """The store in it; ended jobs are kept for a minute."""
    return JobStore(redis, LIFETIMES)
