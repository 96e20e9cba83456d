"""Figures of what happens in many processes, kept in Redis, so that any API process can show them all.

Conventions: a figure is declared here once, with its labels and, where it is a distribution, its bounds in
seconds; nothing else is counted. They are fields of one hash: `name|label value|...` for a counter, with
`|le|bound` (a bucket of its own, not added up), `|le|inf` and `|sum` behind it for a distribution. Values of
labels come from the code, never from a request, so that they are few. Counting never fails what is counted:
without Redis, or when it is full, a figure stays behind.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from redis import Redis
from redis.client import Pipeline

from worker import keys
from worker.connection import UNAVAILABLE

log = logging.getLogger(__name__)

CounterName = Literal[
    "attempts_lost",
    "cache_requests",
    "decoder_deaths",
    "job_failures",
    "rate_limited",
    "webhook_deliveries",
]
DistributionName = Literal["job_seconds", "job_stage_seconds", "model_load_seconds"]

WAITING = "waiting"
"""The stage before the first: from a job's acceptance until somebody takes it."""

_JOB_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)
_LOAD_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_UNFIT = re.compile(r"[^A-Za-z0-9_.:/ -]")
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Figure:
    """What is counted or measured: a counter, or with `bounds_s` a distribution of durations."""

    help: str
    labels: tuple[str, ...] = ()
    bounds_s: tuple[float, ...] = ()


FIGURES: Mapping[str, Figure] = {
    "attempts_lost": Figure("Attempts at jobs that did not end by themselves.", ("cause",)),
    "cache_requests": Figure("Requests that the result cache was asked for.", ("outcome",)),
    "decoder_deaths": Figure("Processes that died, or were ended, while they read a recording."),
    "job_failures": Figure("Jobs that failed, by the type of their problem.", ("kind", "problem")),
    "job_seconds": Figure("Time from a job's acceptance to its end.", ("kind", "status"), _JOB_BOUNDS_S),
    "job_stage_seconds": Figure("Time that a job spent in a stage.", ("kind", "stage"), _JOB_BOUNDS_S),
    "model_load_seconds": Figure("Time that a process took to load a model.", ("origin",), _LOAD_BOUNDS_S),
    "rate_limited": Figure("Requests refused because their key had asked too often."),
    "webhook_deliveries": Figure("Tries to tell a webhook of a job's end.", ("outcome",)),
}


@dataclass(frozen=True)
class Distribution:
    """How often, in each bucket up to its bound (the last one has none), and the sum of all durations."""

    counts: tuple[int, ...]
    sum_s: float


@dataclass(frozen=True)
class Collected:
    """The figures of a moment, each by the values of its labels in their order."""

    counters: Mapping[str, Mapping[tuple[str, ...], int]] = field(default_factory=dict)
    distributions: Mapping[str, Mapping[tuple[str, ...], Distribution]] = field(default_factory=dict)


class Figures:
    """The figures of all processes together."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def count(self, name: CounterName, **labels: str) -> None:
        """One more of these."""
        with self._redis.pipeline(transaction=False) as pipe:
            count_in(pipe, name, **labels)
            self._send(pipe)

    def observe(self, name: DistributionName, seconds: float, **labels: str) -> None:
        """One more of these, which took so long."""
        with self._redis.pipeline(transaction=False) as pipe:
            observe_in(pipe, name, seconds, **labels)
            self._send(pipe)

    def collect(self) -> Collected:
        """All figures; raises one of `worker.connection.UNAVAILABLE` when the store does not answer."""
        stored = cast(dict[bytes, bytes], self._redis.hgetall(keys.METRICS))
        counters: dict[str, dict[tuple[str, ...], int]] = {}
        parts: dict[str, dict[tuple[str, ...], dict[str, float]]] = {}
        for raw, value in sorted(stored.items()):
            name, *rest = raw.decode().split("|")
            figure = FIGURES.get(name)
            if figure is None:
                continue  # another version of the program counts what this one does not know
            values, part = tuple(rest[: len(figure.labels)]), "|".join(rest[len(figure.labels) :])
            if figure.bounds_s:
                parts.setdefault(name, {}).setdefault(values, {})[part] = float(value)
            else:
                counters.setdefault(name, {})[values] = int(value)
        distributions = {
            name: {values: _distribution(FIGURES[name], found) for values, found in series.items()}
            for name, series in parts.items()
        }
        return Collected(counters, distributions)

    def _send(self, pipe: Pipeline) -> None:
        try:
            pipe.execute()
        except UNAVAILABLE as error:
            log.debug("could not count", extra={"error": repr(error)})


def count_in(pipe: Pipeline, name: CounterName, **labels: str) -> None:
    """Counts as part of a transaction, so that it holds exactly when the transaction does."""
    pipe.hincrby(keys.METRICS, _field(name, labels), 1)


def observe_in(pipe: Pipeline, name: DistributionName, seconds: float, **labels: str) -> None:
    """Measures as part of a transaction."""
    field_name = _field(name, labels)
    bound = next((f"{bound:g}" for bound in FIGURES[name].bounds_s if seconds <= bound), "inf")
    pipe.hincrby(keys.METRICS, f"{field_name}|le|{bound}", 1)
    pipe.hincrbyfloat(keys.METRICS, f"{field_name}|sum", round(max(seconds, 0.0), 6))


def _field(name: str, labels: Mapping[str, str]) -> str:
    figure = FIGURES[name]
    if labels.keys() != set(figure.labels):
        raise ValueError(f"The labels of {name} are {figure.labels}, not {tuple(labels)}.")
    return "|".join((name, *(_fit(labels[label]) for label in figure.labels)))


def _fit(value: str) -> str:
    return _UNFIT.sub("_", value)[:_LONGEST_VALUE]


def _distribution(figure: Figure, found: Mapping[str, float]) -> Distribution:
    bounds = [f"{bound:g}" for bound in figure.bounds_s] + ["inf"]
    return Distribution(tuple(int(found.get(f"le|{bound}", 0)) for bound in bounds), found.get("sum", 0.0))
