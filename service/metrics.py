"""Figures for Prometheus: requests as this process counts them; all else as Redis knows it.

Conventions: names begin with `timbrescope_`, times are in seconds. Requests are told apart by route template
and never by path, so that the number of series is bounded. Each application has its own registry. What is
read from Redis every API process shows alike: of several, one is to be looked at, not their sum.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from redis import Redis

from worker.catalog import Catalog
from worker.connection import UNAVAILABLE
from worker.figures import FIGURES, Collected, Distribution, Figure
from worker.jobs import JobKind, QueueName
from worker.status import memory_of, running_jobs, waiting_jobs
from worker.store import JobStore

_REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The registry of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "timbrescope_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "timbrescope_http_request_duration_seconds",
            "Time from the request's head to the end of its answer.",
            ("method", "route"),
            buckets=_REQUEST_BUCKETS_S,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "timbrescope_http_requests_in_flight",
            "Requests being answered, event streams and those who wait for a job included.",
            registry=self._registry,
        )

    def watch_jobs(self, redis: Redis, store: JobStore, catalog: Catalog) -> None:
        """Adds what the store knows, asked at every scrape."""
        self._registry.register(_JobCollector(redis, store, catalog))

    def in_flight(self) -> AbstractContextManager[object]:
        """A request is being answered while the context lasts."""
        return self._in_flight.track_inprogress()

    def request_answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Counts a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(method, route).observe(duration_s)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All figures in the format that this `Accept` header prefers, and that format's media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type


class _JobCollector(Collector):
    def __init__(self, redis: Redis, store: JobStore, catalog: Catalog) -> None:
        self._redis = redis
        self._store = store
        self._catalog = catalog

    def describe(self) -> list[Metric]:
        """Nothing: what is collected needs Redis, and registering must not."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment; without Redis only the one that says so."""
        is_up = GaugeMetricFamily("timbrescope_store_up", "1 while the store of jobs answers.")
        try:
            families = [*self._moment(), *_shared(self._store.figures.collect())]
        except UNAVAILABLE:
            is_up.add_metric([], 0)
            yield is_up
            return
        is_up.add_metric([], 1)
        yield is_up
        yield from families

    def _moment(self) -> Iterator[Metric]:
        yield from self._waiting()
        yield self._running()
        yield self._outcomes()
        yield _gauge("workers", "Worker processes that are ready.", len(self._catalog.workers()))
        memory = memory_of(self._redis)
        yield _gauge("store_memory_bytes", "Memory that Redis uses.", memory.used_bytes)
        yield _gauge(
            "store_memory_limit_bytes", "Memory that Redis may use; 0 for any amount.", memory.limit_bytes
        )

    def _waiting(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("timbrescope_queue_depth", "Jobs that wait.", labels=["queue"])
        age = GaugeMetricFamily(
            "timbrescope_queue_oldest_age_seconds",
            "How long the job at the head of the queue has waited; 0 when none waits.",
            labels=["queue"],
        )
        for queue in QueueName:
            waiting = waiting_jobs(self._redis, queue)
            depth.add_metric([queue], waiting.depth)
            age.add_metric([queue], waiting.oldest_age_s)
        yield from (depth, age)

    def _running(self) -> Metric:
        family = GaugeMetricFamily("timbrescope_jobs_running", "Jobs somebody is at.", labels=["kind"])
        kinds = [job.kind for job in running_jobs(self._redis)]
        for kind in JobKind:
            family.add_metric([kind], kinds.count(kind))
        return family

    def _outcomes(self) -> Metric:
        family = CounterMetricFamily("timbrescope_jobs", "Jobs that ended.", labels=["kind", "status"])
        for (kind, status), count in self._store.outcomes().items():
            family.add_metric([kind, status], count)
        return family


def _shared(collected: Collected) -> Iterator[Metric]:
    """What all processes have counted together; what nobody has counted yet stands at 0 where it can."""
    for name, figure in FIGURES.items():
        if figure.bounds_s:
            yield _histogram(name, figure, collected)
        else:
            family = CounterMetricFamily(f"timbrescope_{name}", figure.help, labels=figure.labels)
            series = collected.counters.get(name, {} if figure.labels else {(): 0})
            for values, count in series.items():
                family.add_metric(values, count)
            yield family


def _histogram(name: str, figure: Figure, collected: Collected) -> Metric:
    family = HistogramMetricFamily(f"timbrescope_{name}", figure.help, labels=figure.labels)
    for values, found in collected.distributions.get(name, {}).items():
        family.add_metric(values, list(_buckets(figure, found)), found.sum_s)
    return family


def _buckets(figure: Figure, found: Distribution) -> Iterator[tuple[str, float]]:
    """Prometheus's buckets, each of which holds those before it."""
    n_so_far = 0
    for bound, count in zip((*map(str, figure.bounds_s), "+Inf"), found.counts, strict=True):
        n_so_far += count
        yield bound, n_so_far


def _gauge(name: str, documentation: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"timbrescope_{name}", documentation)
    family.add_metric([], value)
    return family
