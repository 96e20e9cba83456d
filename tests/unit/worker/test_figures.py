"""Figures of many processes, added up in a real Redis."""

import typing
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import WatchError

from worker import keys
from worker.figures import FIGURES, CounterName, DistributionName, Figures, count_in, observe_in


@pytest.fixture
def figures(redis: Redis) -> Figures:
    return Figures(redis)


def test_every_name_is_declared() -> None:
    counters, distributions = typing.get_args(CounterName), typing.get_args(DistributionName)
    assert set(FIGURES) == {*counters, *distributions}
    assert [name for name in distributions if not FIGURES[name].bounds_s] == []
    assert [name for name in counters if FIGURES[name].bounds_s] == []


def test_counts_add_up_over_processes(redis_url: str) -> None:
    for redis in (Redis.from_url(redis_url), Redis.from_url(redis_url)):
        Figures(redis).count("cache_requests", outcome="hit")
        Figures(redis).count("rate_limited")
    Figures(redis).count("cache_requests", outcome="miss")
    counters = Figures(redis).collect().counters
    assert counters == {"cache_requests": {("hit",): 2, ("miss",): 1}, "rate_limited": {(): 2}}


def test_durations_fall_into_buckets(figures: Figures) -> None:
    for seconds in (0.05, 0.06, 0.06, 100_000.0, -0.001):
        figures.observe("job_stage_seconds", seconds, stage="decoding", kind="explain")
    found = figures.collect().distributions["job_stage_seconds"]["explain", "decoding"]
    assert found.counts[:3] == (2, 2, 0)
    assert found.counts[-1] == 1
    assert sum(found.counts) == 5
    assert found.sum_s == pytest.approx(100_000.17)


def test_they_hold_when_their_transaction_does(redis: Redis, figures: Figures) -> None:
    with redis.pipeline(transaction=True) as pipe:
        count_in(pipe, "job_failures", kind="explain", problem="/problems/truncated")
        observe_in(pipe, "job_seconds", 1.0, kind="explain", status="failed")
        pipe.execute()
    with redis.pipeline(transaction=True) as pipe:
        pipe.watch("record")  # type: ignore[no-untyped-call]
        pipe.multi()
        count_in(pipe, "job_failures", kind="explain", problem="/problems/truncated")
        redis.set("record", "changed by somebody else")
        with pytest.raises(WatchError):
            pipe.execute()
    found = figures.collect()
    assert found.counters == {"job_failures": {("explain", "/problems/truncated"): 1}}
    assert sum(found.distributions["job_seconds"]["explain", "failed"].counts) == 1


@pytest.mark.parametrize("labels", [{}, {"outcome": "hit", "key": "secret"}, {"result": "hit"}])
def test_labels_are_those_that_were_declared(figures: Figures, labels: dict[str, str]) -> None:
    wrong: Any = labels
    with pytest.raises(ValueError, match="labels of cache_requests"):
        figures.count("cache_requests", **wrong)


def test_values_cannot_make_other_figures(figures: Figures) -> None:
    figures.count("cache_requests", outcome='a|b"\n' + "x" * 100)
    ((values, count),) = figures.collect().counters["cache_requests"].items()
    assert (values, count) == (("a_b__" + "x" * 55,), 1)


def test_what_another_version_counts_is_left_out(redis: Redis, figures: Figures) -> None:
    redis.hincrby(keys.METRICS, "figure_of_tomorrow|x", 1)
    figures.count("decoder_deaths")
    assert figures.collect().counters == {"decoder_deaths": {(): 1}}


def test_counting_never_fails_what_is_counted(free_port: int) -> None:
    Figures(Redis(port=free_port)).count("decoder_deaths")
    Figures(Redis(port=free_port)).observe("model_load_seconds", 1.0, origin="shipped")
