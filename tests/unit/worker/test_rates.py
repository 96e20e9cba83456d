"""Rates of keys: held against a slow bucket of tokens, exact in their promises, agreed on by all."""

import threading
import time
from fractions import Fraction

import pytest
from redis import Redis

from worker import keys
from worker.rates import Allowance, Rates


@pytest.fixture
def rates(redis: Redis) -> Rates:
    return Rates(redis)


def test_a_quiet_key_may_ask_for_a_minutes_worth_at_once(rates: Rates) -> None:
    taken = [rates.take("lab", 6) for _ in range(7)]
    assert [allowance.granted for allowance in taken] == [True] * 6 + [False]
    assert [allowance.left for allowance in taken[:6]] == [5, 4, 3, 2, 1, 0]
    assert taken[-1] == Allowance(granted=False, per_minute=6, left=0, wait_s=10)
    assert rates.take("other", 6).granted


def test_who_waits_as_told_is_granted(rates: Rates) -> None:
    assert rates.take("lab", 60, 60).granted
    refused = rates.take("lab", 60)
    assert (refused.granted, refused.wait_s) == (False, 1)
    time.sleep(refused.wait_s)
    assert rates.take("lab", 60).granted
    assert not rates.take("lab", 60).granted


def test_many_at_once(rates: Rates) -> None:
    assert rates.take("lab", 100, 40).left == 60
    assert rates.take("lab", 100, 61) == Allowance(granted=False, per_minute=100, left=0, wait_s=1)
    assert rates.take("lab", 100, 60).granted


def test_more_than_a_minutes_worth_needs_a_quiet_minute_and_is_paid_off(rates: Rates) -> None:
    assert rates.take("lab", 10, 25).granted
    refused = rates.take("lab", 10)
    assert not refused.granted
    assert refused.wait_s == 96  # 25 jobs take 150 s; one fits again 54 s before all are paid off
    rates.take("busy", 10)
    assert not rates.take("busy", 10, 25).granted


def test_looking_takes_nothing(rates: Rates, redis: Redis) -> None:
    assert rates.take("lab", 2, 0) == Allowance(granted=True, per_minute=2, left=2, wait_s=0)
    assert redis.keys("*") == []
    rates.take("lab", 2, 2)
    before = redis.get(keys.rate("lab"))
    assert not rates.take("lab", 2, 0).granted
    assert redis.get(keys.rate("lab")) == before


def test_nothing_is_left_of_a_key_that_is_quiet(rates: Rates, redis: Redis) -> None:
    rates.take("lab", 100)
    assert 0 < redis.pttl(keys.rate("lab")) <= 601
    time.sleep(0.7)
    assert redis.keys("*") == []


def test_several_processes_share_a_rate(redis_url: str) -> None:
    granted: list[bool] = []

    def ask() -> None:
        with Redis.from_url(redis_url) as redis:
            own = Rates(redis)
            granted.extend(own.take("lab", 50).granted for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 100 asked within far less than the 1.2 s in which the next one is earned; on a slow machine a few more
    assert 50 <= sum(granted) <= 55


def test_as_a_bucket_of_tokens(rates: Rates, redis: Redis) -> None:
    """The same answers as a bucket that is filled token by token, at moments that Redis itself tells."""
    per_minute, tokens, last = 30, Fraction(30), None
    for cost in (3, 20, 4, 5, 1, 9, 2, 1, 1, 30, 2, 1):
        seconds, microseconds = redis.time()
        allowance = rates.take("lab", per_minute, cost)
        now = Fraction(seconds * 1_000_000 + microseconds, 1_000_000)
        if last is not None:
            tokens = min(tokens + (now - last) * per_minute / 60, Fraction(per_minute))
        last = now
        assert allowance.granted == (tokens >= cost)
        if allowance.granted:
            tokens -= cost
            assert allowance.left == int(tokens)
        time.sleep(0.1)
