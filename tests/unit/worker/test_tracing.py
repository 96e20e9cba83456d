"""Traces: nothing unless it is asked for, and then spans with the right parents at a real collector."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.collector import Collector, collecting
from tests.unit.worker.jobs_made import new_job
from worker import tracing
from worker.figures import Figures
from worker.stages import Stages

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as started:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", started.url)
        tracing.start("timbrescope-test")
        yield started
        tracing.stop()


def test_spans_have_the_right_parents(collector: Collector) -> None:
    with tracing.span("POST", "server", parent=REMOTE) as request:
        with tracing.span("send interactive", "producer", attributes={"attempt": 2}):
            sent = tracing.current()
        request.rename("POST /explain")
        request.tell({"http.response.status_code": 202})
    with tracing.span("process explain", "consumer", parent=sent), tracing.span("decoding"):
        pass
    assert tracing.current() == ""
    tracing.stop()
    server, producer = collector.named("POST /explain"), collector.named("send interactive")
    consumer, stage = collector.named("process explain"), collector.named("decoding")
    _, trace, parent, _ = REMOTE.split("-")
    assert {span.trace for span in collector.spans} == {trace}
    assert [server.parent, producer.parent, consumer.parent, stage.parent] == [
        parent,
        server.id,
        producer.id,
        consumer.id,
    ]
    assert [server.kind, producer.kind, consumer.kind, stage.kind] == [
        "server",
        "producer",
        "consumer",
        "internal",
    ]
    assert server.attributes == {"http.response.status_code": "202"}
    assert producer.attributes == {"attempt": "2"}
    assert {span.service for span in collector.spans} == {"timbrescope-test"}


def test_a_parent_that_is_none_begins_a_trace(collector: Collector) -> None:
    with tracing.span("GET", "server", parent="00-nonsense"):
        pass
    tracing.stop()
    assert collector.named("GET").parent == ""


def test_errors_are_marked_but_not_quoted(collector: Collector) -> None:
    with pytest.raises(ZeroDivisionError), tracing.span("work"):
        raise ZeroDivisionError("secret.wav")
    tracing.stop()
    work = collector.named("work")
    assert work.is_error
    assert work.attributes == {"error.type": "ZeroDivisionError"}


def test_stages_are_spans_and_figures(collector: Collector, redis_url: str) -> None:
    figures = Figures(Redis.from_url(redis_url))
    with tracing.span("process explain"), Stages(new_job(), figures) as stages:
        for stage in ("decoding", "decoding", "classifying"):
            stages.enter(stage)
            time.sleep(0.06)
    stages.send()
    tracing.stop()
    whole = collector.named("process explain")
    assert [span.name for span in collector.spans if span.parent == whole.id] == [
        "queued",
        "decoding",
        "classifying",
    ]
    assert collector.named("decoding").duration_s > 0.11
    measured = figures.collect().distributions["job_stage_seconds"]
    assert set(measured) == {("explain", stage) for stage in ("queued", "decoding", "classifying")}
    assert measured["explain", "decoding"].sum_s > 0.11


def test_nothing_is_traced_unless_it_is_asked_for() -> None:
    tracing.start("timbrescope-test")
    with tracing.span("work", parent=REMOTE) as span:
        span.tell({"x": 1})
        span.blame("fault")
        span.rename("other")
        assert tracing.current() == ""
    tracing.stop()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], expected: bool) -> None:
    assert tracing.is_asked_for(environment) is expected


def test_without_the_extra_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.delitem(sys.modules, "worker.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with caplog.at_level(logging.WARNING):
        tracing.start("timbrescope-test")
    assert "timbrescope[otel]" in caplog.text
    with tracing.span("work"):
        assert tracing.current() == ""


def test_it_is_not_imported_unless_it_is_asked_for() -> None:
    program = (
        "import sys, service.run, worker.tasks; from worker import tracing; tracing.start('x'); "
        "print(*sys.modules)"
    )
    imported = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "worker.tracing" in imported
    assert [name for name in imported if name.startswith(("opentelemetry.exporter", "worker.otel"))] == []


def test_a_collector_that_is_away_holds_nobody_up() -> None:
    program = (
        "import time; from worker import tracing; tracing.start('x')\n"
        "with tracing.span('work'): pass\n"
        "tracing.stop()"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and answers nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-c", program]
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
        subprocess.run(command, env=environment, check=True, timeout=60.0)
