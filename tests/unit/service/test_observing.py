"""The service seen from outside: named requests, lines of the log, figures, and why it is not ready."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from redis import Redis

from service.edge import guard
from tests.readme import ROOT
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post
from worker.catalog import Catalog
from worker.errors import InternalError
from worker.figures import Figures
from worker.jobs import JobStatus
from worker.logs import JsonFormatter
from worker.problems import problem_of
from worker.progress import Progress
from worker.status import memory_of
from worker.store import JobStore

BALLAST_BYTES = 4_000_000


class Lines(logging.Handler):
    """What is logged, as JSON would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.written: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The client is of this process too; and pytest hears what is not passed on, as uvicorn's access log.
        if not record.name.startswith(("httpx", "httpcore", "uvicorn.access")):
            self.written.append(json.loads(self.format(record)))

    def of(self, request: str, message: str) -> dict[str, object]:
        """The only such line about a request; the answer may come before it is written."""
        deadline = time.monotonic() + 10.0
        while True:
            wanted = {"request": request, "message": message}
            found = [line for line in self.written if wanted.items() <= line.items()]
            if found:
                (line,) = found
                return line
            assert time.monotonic() < deadline, self.written
            time.sleep(0.01)


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("name", ["a", "Trace-7_of.client", "x" * 64])
def test_a_plain_request_id_is_taken(api: httpx.Client, name: str) -> None:
    assert api.get("/health/live", headers={"X-Request-ID": name}).headers["x-request-id"] == name


@pytest.mark.parametrize("name", ["", "x" * 65, "two words", 'a"b', "a=b", "ä".encode().decode("latin-1")])
def test_any_other_is_replaced(api: httpx.Client, name: str) -> None:
    answer = api.get("/health/live", headers={b"X-Request-ID": name.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


def test_a_job_keeps_the_request_that_made_it(api: httpx.Client, store: JobStore) -> None:
    job = post(api, headers={"X-Request-ID": "from-the-client"}).json()
    assert store.get(job["id"]).request_id == "from-the-client"


def test_lines_name_request_and_job(api: httpx.Client, lines: Lines) -> None:
    job = post(api, headers={"X-Request-ID": "made"}).json()["id"]
    api.get(f"/jobs/{job}?secret=parameter", headers={"X-Request-ID": "asked"})
    api.get(f"/jobs/{job}/secret-path", headers={"X-Request-ID": "lost", "Authorization": "Bearer secret"})
    for name, route, status in (
        ("made", "/explain", 202),
        ("asked", "/jobs/{job_id}", 200),
        ("lost", "unmatched", 404),
    ):
        answered = lines.of(name, "answered")
        assert (answered["job"], answered["route"], answered["status"]) == (job, route, status)
    everything = json.dumps(lines.written)
    assert "secret" not in everything
    assert "clip.wav" not in everything


def test_a_fault_is_one_line_that_names_its_request(api: httpx.Client, redis_url: str, lines: Lines) -> None:
    job = post(api).json()
    with Redis.from_url(redis_url) as redis:
        record = json.loads(redis.get(f"ts:job:{job['id']}") or b"")
        record["input"]["channels"] = "secret"
        redis.set(f"ts:job:{job['id']}", json.dumps(record))
    answer = api.get(job["links"]["self"], headers={"X-Request-ID": "faulty"})
    assert_problem(answer, 500, "internal-error")
    assert answer.headers["x-request-id"] == "faulty"
    assert answer.headers["x-content-type-options"] == "nosniff"
    faults = [line for line in lines.written if "exception" in line]
    assert [(fault["request"], fault["job"]) for fault in faults] == [("faulty", job["id"])]
    assert lines.of("faulty", "answered")["status"] == 500
    assert "secret" not in json.dumps(lines.written)
    assert "clip.wav" not in json.dumps(lines.written)


def test_figures_of_jobs(start_api: StartApi, models: Catalog, store: JobStore, redis_url: str) -> None:
    api = start_api()
    waiting, running, failing = (post(api).json()["id"] for _ in range(3))
    for job_id in (running, failing):
        store.begin(job_id, "token", max_attempts=3)
        store.advance(job_id, "token", Progress("decoding", 0, 1))
    store.fail(failing, "token", problem_of(InternalError("x")))
    with Redis.from_url(redis_url) as redis:
        Figures(redis).count("attempts_lost", cause="process")
        Figures(redis).observe("job_stage_seconds", 0.3, kind="explain", stage="decoding")
    time.sleep(0.01)
    figures = scrape(api)
    assert figures['timbrescope_queue_depth{queue="interactive"}'] == 1
    assert 0.0 < figures['timbrescope_queue_oldest_age_seconds{queue="interactive"}'] < 60.0
    assert figures['timbrescope_queue_oldest_age_seconds{queue="batch"}'] == 0.0
    assert figures['timbrescope_jobs_running{kind="explain"}'] == 1
    assert figures['timbrescope_jobs_total{kind="explain",status="failed"}'] == 1
    assert figures['timbrescope_job_failures_total{kind="explain",problem="/problems/internal-error"}'] == 1
    assert figures['timbrescope_attempts_lost_total{cause="process"}'] == 1
    assert figures["timbrescope_rate_limited_total"] == 0
    stage = 'timbrescope_job_stage_seconds_{}{{kind="explain",{}stage="{}"}}'
    assert figures[stage.format("count", "", "waiting")] == 2
    assert figures[stage.format("sum", "", "decoding")] == 0.3
    assert figures[stage.format("bucket", 'le="0.25",', "decoding")] == 0
    assert figures[stage.format("bucket", 'le="0.5",', "decoding")] == 1
    assert figures[stage.format("bucket", 'le="+Inf",', "decoding")] == 1
    assert figures['timbrescope_job_seconds_count{kind="explain",status="failed"}'] == 1
    assert figures["timbrescope_store_memory_bytes"] > 100_000
    assert waiting != running


def test_every_figure_is_told_in_the_documentation(api: httpx.Client) -> None:
    api.get("/models")
    told = set(re.findall(r"`(timbrescope_\w+)`", (ROOT / "docs/operations.md").read_text(encoding="utf-8")))
    families = re.findall(r"^# TYPE (timbrescope_\w+) ", api.get("/metrics").text, re.MULTILINE)
    shown = {name for name in families if not name.endswith("_created")}
    assert shown == told


def test_a_fault_around_the_application_is_a_problem_too(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `service.edge.faults` does not reach."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(guard.Guard, "__call__", fail)
    problem = assert_problem(api.get("/health/live"), 500, "internal-error")
    assert "secret" not in str(problem)


def test_requests_in_flight(start_api: StartApi, models: Catalog) -> None:
    api = start_api()
    assert scrape(api)["timbrescope_http_requests_in_flight"] == 1  # this very one
    waiter = threading.Thread(target=post, args=(api,), kwargs={"headers": {"Prefer": "wait=3"}})
    waiter.start()
    deadline = time.monotonic() + 10.0
    while scrape(api)["timbrescope_http_requests_in_flight"] < 2:
        assert time.monotonic() < deadline
    waiter.join()
    assert scrape(api)["timbrescope_http_requests_in_flight"] == 1


def test_openmetrics_for_who_accepts_it(api: httpx.Client) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    answer = api.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


Fill = Callable[[float], Redis]


@pytest.fixture
def fill(redis_url: str) -> Iterator[Fill]:
    """Makes Redis hold this multiple of what it may; beyond 1 it takes nothing until the ballast goes."""
    redis: Redis = Redis.from_url(redis_url)
    with redis:

        def fill(share: float) -> Redis:
            redis.setrange("ballast", BALLAST_BYTES, "x")  # without a buffer, which would be freed again
            redis.config_set("maxmemory", round(memory_of(redis).used_bytes / share))
            return redis

        yield fill
        redis.config_set("maxmemory", 0)


def test_a_full_store(start_api: StartApi, models: Catalog, store: JobStore, fill: Fill) -> None:
    api = start_api()
    ended, waiting = post(api).json(), post(api).json()
    store.begin(ended["id"], "token", max_attempts=3)
    store.succeed(ended["id"], "token", {"numbers": list(range(2_000))})
    redis = fill(1.5)
    n_kept = len(redis.keys("ts:job:*"))
    for answer in (api.get("/health/ready"), post(api), api.delete(waiting["links"]["self"])):
        problem = assert_problem(answer, 503, "store-unavailable")
        assert "is full" in problem["detail"]
        assert int(answer.headers["retry-after"]) > 0
    assert len(redis.keys("ts:job:*")) == n_kept  # what was refused left nothing behind
    # What is there can be looked at, and what is not wanted can be deleted: that is how it recovers.
    assert api.get(waiting["links"]["self"]).json()["status"] == JobStatus.QUEUED
    assert len(api.get("/jobs").json()["jobs"]) == 2
    figures = scrape(api)
    assert figures["timbrescope_store_memory_bytes"] > figures["timbrescope_store_memory_limit_bytes"] > 0
    assert api.delete(ended["links"]["self"]).status_code == 204
    assert api.get(ended["links"]["self"]).status_code == 410
    assert redis.keys(f"ts:job:{ended['id']}*") == []
    redis.delete("ballast")
    assert api.get("/health/ready").json() == {"status": "ready"}
    assert post(api).status_code == 202


def test_a_job_that_cannot_be_handed_over_to_a_full_store_is_taken_back(
    models: Catalog, store: JobStore, fill: Fill, api: httpx.Client
) -> None:
    job = store.get(post(api).json()["id"])
    redis = fill(1.5)
    store.withdraw(job)
    assert redis.keys(f"*{job.id}*") == []
    assert store.queue_depth(job.queue) == 0


def test_some_room_is_kept_for_jobs_that_were_accepted(
    start_api: StartApi, models: Catalog, store: JobStore, fill: Fill
) -> None:
    api = start_api()
    accepted = post(api).json()
    fill(0.95)
    for answer in (api.get("/health/ready"), post(api)):
        problem = assert_problem(answer, 503, "store-unavailable")
        assert "10% are for jobs that were accepted" in problem["detail"]
    store.begin(accepted["id"], "token", max_attempts=3)
    store.succeed(accepted["id"], "token", {"instruments": []})
    assert store.get(accepted["id"]).status is JobStatus.SUCCEEDED


def scrape(api: httpx.Client) -> dict[str, float]:
    """The figures by their names and labels."""
    lines = api.get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
