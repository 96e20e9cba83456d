"""Figures for Prometheus: requests as this process counts them, jobs as Redis knows them.

Conventions: names begin with `timbrescope_`, times are in seconds. Requests are told apart by route
template and never by path, so that the number of series is bounded. Each application has its own registry.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from worker.catalog import Catalog
from worker.connection import UNAVAILABLE
from worker.jobs import QueueName
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

    def watch_jobs(self, store: JobStore, catalog: Catalog) -> None:
        """Adds what the store knows, asked at every scrape."""
        self._registry.register(_JobCollector(store, catalog))

    def request_answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Counts a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(method, route).observe(duration_s)

    def exposition(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self._registry)


class _JobCollector(Collector):
    def __init__(self, store: JobStore, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog

    def describe(self) -> list[Metric]:
        """Nothing: what is collected needs Redis, and registering must not."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment; without Redis only the one that says so."""
        is_up = GaugeMetricFamily("timbrescope_store_up", "1 while the store of jobs answers.")
        try:
            families = [build() for build in self._families()]
        except UNAVAILABLE:
            is_up.add_metric([], 0)
            yield is_up
            return
        is_up.add_metric([], 1)
        yield is_up
        yield from families

    def _families(self) -> tuple[Callable[[], Metric], ...]:
        return (self._depths, self._outcomes, self._workers)

    def _depths(self) -> Metric:
        family = GaugeMetricFamily("timbrescope_queue_depth", "Jobs that wait.", labels=["queue"])
        for queue in QueueName:
            family.add_metric([queue], self._store.queue_depth(queue))
        return family

    def _outcomes(self) -> Metric:
        family = CounterMetricFamily("timbrescope_jobs", "Jobs that ended.", labels=["kind", "status"])
        for (kind, status), count in self._store.outcomes().items():
            family.add_metric([kind, status], count)
        return family

    def _workers(self) -> Metric:
        family = GaugeMetricFamily("timbrescope_workers", "Worker processes that are ready.")
        family.add_metric([], len(self._catalog.workers()))
        return family
