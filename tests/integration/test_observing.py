"""Seeing inside a running service: one trace and one request id from the client to the worker's pool, figures
of what the worker did, and a store that is full for a while.
"""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.collector import Collector, collecting
from tests.integration import sounds
from tests.integration.processes import Stack, running_stack, wait_until
from tests.unit.timbrescope.test_cli import timbrescope
from worker.status import memory_of

END_S = 120.0
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as started:
        yield started


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Stack]:
    """A service that is traced and logs as JSON, with one process at work."""
    folder = Path(tempfile.mkdtemp(prefix="ts-see-"))
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "TIMBRESCOPE_LOG_FORMAT": "json",
        "TIMBRESCOPE_CONCURRENCY": "1",
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
    }
    with running_stack(folder, **settings) as started:
        yield started
    shutil.rmtree(folder)


def post(stack: Stack, call: str, **headers: str) -> httpx.Response:
    """A short recording, under a name and with a parameter that nobody but the client is to know."""
    files = {"file": ("secret-name.wav", sounds.audio_file(sounds.tone(1.0)))}
    return stack.client.post(f"{call}?secret=parameter", files=files, headers=headers)


def post_long(stack: Stack, *, n_concepts: int = 20) -> dict[str, Any]:
    """A job that runs for some seconds at least, or with many concepts for a good while."""
    names = [each["instrument"] for each in stack.client.get("/instruments").json()["instruments"]]
    files = {"file": ("long.wav", sounds.audio_file(sounds.tone(15.0)))}
    fields = {"instruments": names, "concepts": str(n_concepts)}
    answer = stack.client.post("/explain", files=files, data=fields)
    found: dict[str, Any] = answer.json()
    return found


def test_an_explanation_is_one_trace(traced: Stack, collector: Collector) -> None:
    job = post(
        traced,
        "/explain",
        **{"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "traced", "Prefer": "wait=30"},
    ).json()
    traced.client.get(job["links"]["self"])

    def of_trace() -> list[str]:
        return [span.name for span in collector.spans if span.trace == TRACE]

    wait_until(lambda: {"POST /explain", "process explain"} <= set(of_trace()), 30.0, "the trace")
    server, send = collector.named("POST /explain"), collector.named("send interactive")
    process = collector.named("process explain")
    assert [server.kind, send.kind, process.kind] == ["server", "producer", "consumer"]
    assert [server.parent, send.parent, process.parent] == [CALLER, server.id, send.id]
    assert [server.service, send.service, process.service] == [
        "timbrescope-api",
        "timbrescope-api",
        "timbrescope-worker",
    ]
    assert server.attributes["http.response.status_code"] == "200"
    assert server.attributes["timbrescope.request.id"] == "traced"
    assert process.attributes["timbrescope.job.id"] == job["id"]
    assert process.attributes["timbrescope.job.status"] == "succeeded"
    stages = [span for span in collector.spans if span.parent == process.id]
    assert {stage.service for stage in stages} == {"timbrescope-worker"}
    names = [stage.name for stage in stages]
    assert names[:3] == ["starting", "decoding", "classifying"]
    assert names[-1] == "drawing"
    assert sum(stage.duration_s for stage in stages) <= process.duration_s
    told = json.dumps([span.attributes for span in collector.spans])
    assert "secret" not in told


def test_lines_of_api_and_worker_name_the_request_and_the_job(traced: Stack) -> None:
    answer = post(traced, "/classify", **{"X-Request-ID": "followed", "Prefer": "wait=30"})
    job_id = answer.json()["id"]
    assert answer.headers["x-request-id"] == "followed"
    wait_until(lambda: any(line.get("message") == "ended" for line in about(traced, job_id)), 30.0, "the end")

    def answers() -> list[dict[str, Any]]:  # a line that comes after the answer
        told = [line for line in lines(traced.api.text()) if line.get("request") == "followed"]
        return [line for line in told if line["message"] == "answered"]

    wait_until(lambda: bool(answers()), 30.0, "the API's line")
    (answered,) = answers()
    assert (answered["job"], answered["route"], answered["status"]) == (job_id, "/classify", 200)
    worked = {line["message"]: line for line in about(traced, job_id)}
    assert worked["started"]["request"] == worked["ended"]["request"] == "followed"
    for process in (traced.api, traced.worker):
        assert "secret" not in process.text()
        assert all(line for line in lines(process.text()))


def test_figures_of_what_the_worker_did(traced: Stack) -> None:
    post(traced, "/classify", Prefer="wait=30")
    figures = scrape(traced)
    for stage in ("waiting", "starting", "decoding", "classifying"):
        assert figures[f'timbrescope_job_stage_seconds_count{{kind="classify",stage="{stage}"}}'] >= 1
    assert figures['timbrescope_job_seconds_count{kind="classify",status="succeeded"}'] >= 1
    assert figures['timbrescope_model_load_seconds_count{origin="shipped"}'] >= 1
    assert figures["timbrescope_workers"] == 1


def test_an_attempt_that_is_lost_is_counted_and_shown(traced: Stack) -> None:
    before = scrape(traced).get('timbrescope_attempts_lost_total{cause="process"}', 0.0)
    job = post_long(traced)
    path = job["links"]["self"]
    wait_until(lambda: state(traced, path)["status"] == "running", END_S, "a running job")
    wait_until(
        lambda: job["id"] in (status(traced)["workers"][0]["at"] or ""), END_S, "the job in the status"
    )
    (process,) = traced.worker.children()
    os.kill(process, signal.SIGKILL)
    wait_until(
        lambda: scrape(traced).get('timbrescope_attempts_lost_total{cause="process"}', 0.0) == before + 1,
        END_S,
        "a second attempt",
        every_s=0.5,
    )
    found = status(traced)
    assert found["attempts_lost"]["process"] == before + 1
    assert [running["attempt"] for running in found["running"]] == [2]
    traced.client.delete(path)


def test_a_store_that_is_full_for_a_while(traced: Stack) -> None:
    traced.wait_until_ready()
    running = post_long(traced, n_concepts=1)["links"]["self"]
    waiting = post(traced, "/classify").json()["links"]["self"]
    wait_until(lambda: state(traced, running)["status"] == "running", END_S, "a running job")
    with Redis.from_url(traced.redis_url) as redis:
        redis.config_set("maxmemory", memory_of(redis).used_bytes // 2)
        for answer in (traced.client.get("/health/ready"), post(traced, "/classify")):
            assert answer.status_code == 503
            assert answer.json()["type"] == "/problems/store-unavailable"
            assert "is full" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) > 0
        assert not status(traced)["ready"]
        wait_until(lambda: "the store went away" in said(traced, running), END_S, "an attempt that found out")
        # What the worker writes about its messages is refused as well, which is not to end it.
        wait_until(lambda: "Connection to broker lost" in traced.worker.text(), END_S, "the broker's loss")
        assert state(traced, waiting)["status"] == "queued"
        redis.config_set("maxmemory", 0)
    for path in (running, waiting):
        wait_until(partial(has_succeeded, traced, path), END_S, f"the end of {path}", every_s=0.5)
    wait_until(lambda: status(traced)["ready"], 30.0, "readiness", every_s=0.5)


def has_succeeded(stack: Stack, path: str) -> bool:
    return bool(state(stack, path)["status"] == "succeeded")


def state(stack: Stack, path: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.client.get(path).json()
    return found


def status(stack: Stack) -> dict[str, Any]:
    """What `timbrescope status` tells."""
    settings = {"TIMBRESCOPE_REDIS_URL": stack.redis_url, "TIMBRESCOPE_PORT": stack.url.rpartition(":")[2]}
    found: dict[str, Any] = json.loads(timbrescope("status", "--json", env=settings).stdout)
    return found


def about(stack: Stack, job_id: str) -> list[dict[str, Any]]:
    return [line for line in lines(stack.worker.text()) if line.get("job") == job_id]


def said(stack: Stack, path: str) -> set[str]:
    """What the worker has logged of a job."""
    return {line["message"] for line in about(stack, path.removeprefix("/jobs/"))}


def lines(text: str) -> list[dict[str, Any]]:
    """The lines of a log, each of which is JSON."""
    return [json.loads(line) for line in text.splitlines()]


def scrape(stack: Stack) -> dict[str, float]:
    """The figures by their names and labels."""
    told = stack.client.get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in told if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
