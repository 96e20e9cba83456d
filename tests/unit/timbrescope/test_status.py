"""`timbrescope status`: what waits, runs and has ended, and whether more can be taken."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.unit.timbrescope.test_cli import timbrescope
from tests.unit.worker.jobs_made import LIFETIMES, new_dataset_job, new_job
from timbrescope.state import StateFolder
from worker.catalog import Catalog, model_from_card
from worker.errors import InternalError
from worker.figures import Figures
from worker.leases import AT, Leases
from worker.problems import problem_of
from worker.progress import Progress
from worker.status import memory_of
from worker.store import JobStore

CARD = {"id": "winds", "sha256": "ab" * 32, "task": "instruments", "labels": ["Violin"], "thresholds": {}}
SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROCESS = "machine/10/11"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def redis(redis_url: str) -> Redis:
    return Redis.from_url(redis_url)


@pytest.fixture
def run(redis_url: str, free_port: int) -> Run:
    """Runs `timbrescope status` against this Redis; nothing answers where the API would."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        settings = {"TIMBRESCOPE_REDIS_URL": redis_url, "TIMBRESCOPE_PORT": str(free_port)}
        return timbrescope("status", *words, env=settings)

    return run


@pytest.mark.parametrize(
    ("more", "port"), [({}, 9017), ({"TIMBRESCOPE_PORT": "9018"}, 9018), ({"TIMBRESCOPE_HOST": "::1"}, 8000)]
)
def test_the_api_of_the_service_here_is_asked(tmp_path: Path, more: dict[str, str], port: int) -> None:
    """Without its port being said again."""
    state = StateFolder(tmp_path)
    state.create()
    state.keep_url("http://127.0.0.1:9017")
    done = timbrescope("status", "--json", env={"TIMBRESCOPE_STATE_DIR": str(tmp_path), **more})
    assert done.returncode == 1
    assert as_json(done)["api"].endswith(f":{port}")


def as_json(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_whole_of_it(redis: Redis, run: Run) -> None:
    store = JobStore(redis, LIFETIMES)
    Catalog(redis).announce(PROCESS, [model_from_card(CARD)], since=SINCE)
    waiting, running, failed, cancelled, made = new_job(), new_job(), new_job(), new_job(), new_dataset_job()
    for job in (waiting, running, failed, cancelled, made):
        store.admit(job, b"recording", max_queued=10)
    for job in (running, failed):
        store.begin(job.id, "token", max_attempts=3)
    store.advance(running.id, "token", Progress("attributing", 2, 5))
    Leases(redis).take(running.id, f"message:0{AT}{PROCESS}")
    store.fail(failed.id, "token", problem_of(InternalError("secret")))
    store.cancel(cancelled.id)
    Figures(redis).count("attempts_lost", cause="process")

    done = run("--json")
    assert done.returncode == 0, done.stderr
    found = as_json(done)
    assert (found["ready"], found["why_not"], found["api_ready"]) == (True, None, False)
    assert found["redis"]["memory"]["used_bytes"] > 100_000
    interactive, batch = found["queues"]
    assert (interactive["queue"], interactive["depth"], interactive["most"]) == ("interactive", 1, 1_000)
    assert 0.0 <= interactive["oldest_age_s"] < 600.0
    assert (batch["queue"], batch["depth"]) == ("batch", 1)
    assert found["workers"] == [
        {"name": PROCESS, "models": ["winds"], "since": SINCE.isoformat(), "at": running.id}
    ]
    (job,) = found["running"]
    assert (job["id"], job["kind"], job["stage"], job["done"], job["total"], job["attempt"]) == (
        running.id,
        "explain",
        "attributing",
        2,
        5,
        1,
    )
    assert found["last_hour"]["made"] == 5
    assert found["last_hour"]["by_status"] == {"queued": 2, "running": 1, "failed": 1, "cancelled": 1}
    assert found["last_hour"]["failures"] == {"/problems/internal-error": 1}
    assert found["outcomes"] == {"explain": {"cancelled": 1, "failed": 1}}
    assert found["failures"] == {"/problems/internal-error": 1}
    assert found["attempts_lost"] == {"process": 1}

    table = run()
    assert table.returncode == 0
    for told in (
        "ready",
        "interactive",
        PROCESS,
        running.id,
        "attributing",
        "2 of 5",
        "/problems/internal-error 1",
    ):
        assert told in table.stdout
    assert "secret" not in table.stdout + done.stdout
    assert "clip.wav" not in table.stdout + done.stdout


def test_no_worker(redis: Redis, run: Run) -> None:
    done = run()
    assert done.returncode == 1
    assert "not ready: No worker is ready at the moment." in done.stdout


def test_a_full_store_is_shown_and_said(redis: Redis, run: Run) -> None:
    Catalog(redis).announce(PROCESS, [model_from_card(CARD)])
    try:
        redis.config_set("maxmemory", memory_of(redis).used_bytes)
        done = run("--json")
    finally:
        redis.config_set("maxmemory", 0)
    assert done.returncode == 1
    found = as_json(done)
    assert "is full" in found["why_not"]
    assert found["redis"]["memory"]["limit_bytes"] > 0


def test_nothing_runs(tmp_path: Path, free_port: int) -> None:
    settings = {"TIMBRESCOPE_STATE_DIR": str(tmp_path), "TIMBRESCOPE_PORT": str(free_port)}
    for words in ((), ("--json",)):
        done = timbrescope("status", *words, env=settings)
        assert done.returncode == 1
        assert "No `timbrescope up` runs with the state folder" in done.stdout.replace("\\n", " ")


def test_jobs_of_earlier_hours_are_none_of_this_one(redis: Redis, run: Run) -> None:
    old = replace(new_job(), id="019cabcd-0000-7000-8000-000000000000")
    JobStore(redis, LIFETIMES).admit(old, b"recording", max_queued=10)
    assert as_json(run("--json"))["last_hour"]["made"] == 0
