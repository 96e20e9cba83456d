"""Thousands of mutated recordings over HTTP: each is read or refused, and nobody dies of any.

Conventions: a file is posted as it is drawn, so that one that breaks the API is made small; the jobs that
came of them are followed up afterwards. The first files warm the processes up; from then on memory is
compared.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as drawn_from
from redis import Redis

from tests.integration.processes import Stack, running_stack, wait_until
from tests.reliability.conftest import Size
from tests.reliability.mutations import Sent, mutated_files
from tests.reliability.report import Report
from worker.figures import Figures

QUEUE = 100
WARM_UP = 60
END_S = 900.0
RETRY_S = 60.0
# What the resident memory of a process may have gained after thousands of files: the heap's fragments, and
# what libraries keep for each length of sound that they have met.
MOST_GAINED_BYTES = 120_000_000
N_PROCESSES = {"api": 1, "worker": 2, "fork servers": 3}
# One file in so many is explained, which takes longer, and one is sent as the stems of a mix.
EXPLAIN_EVERY, CHECK_EVERY = 12, 25
REFUSALS = {413, 415, 422}

pytestmark = pytest.mark.slow


@dataclass
class Tally:
    """What became of the files."""

    statuses: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    jobs: list[str] = field(default_factory=list)
    n_full: int = 0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="ts-files-"))
    with running_stack(
        folder,
        TIMBRESCOPE_CONCURRENCY=str(N_PROCESSES["worker"]),
        TIMBRESCOPE_MAX_QUEUED_INTERACTIVE=str(QUEUE),
        TIMBRESCOPE_STATE_DIR=str(folder / "state"),
    ) as started:
        yield started
    shutil.rmtree(folder)


def test_every_file_is_read_or_refused(stack: Stack, size: Size, seed: int, report: Report) -> None:
    n_files = size.of(300, 5_000)
    tally = Tally()
    began_at = time.monotonic()
    _post_many(stack.client, WARM_UP, seed + 1, tally)
    outcomes = _outcomes(stack, tally.jobs)
    processes, before = stack.worker.children(), _resident(stack)
    tally.jobs.clear()
    _post_many(stack.client, n_files - WARM_UP, seed, tally)
    posted_s = time.monotonic() - began_at
    outcomes += _outcomes(stack, tally.jobs)
    elapsed_s = time.monotonic() - began_at
    after = _resident(stack)
    assert stack.worker.children() == processes, "a process of the pool died"
    assert all(process.is_alive() for process in (stack.api, stack.worker, stack.redis))
    for name, resident in after.items():
        assert resident - before[name] < MOST_GAINED_BYTES * N_PROCESSES[name], (name, before, after)
    assert stack.client.get("/health/ready").status_code == 200
    figures = {
        "n_files": n_files,
        "answers": dict(tally.statuses.most_common()),
        "refused_for": dict(tally.refusals.most_common()),
        "n_retried_while_the_queue_was_full": tally.n_full,
        "jobs": dict(outcomes.most_common()),
        "decoder_deaths": _decoder_deaths(stack),
        "posting_s": round(posted_s, 1),
        "elapsed_s": round(elapsed_s, 1),
        "resident_bytes_before": before,
        "resident_bytes_after": after,
    }
    n_accepted = tally.statuses["202"]
    gained = {name: (after[name] - before[name]) / 1e6 for name in after}
    report.keep(
        "files",
        "files",
        f"{n_files:,} files in {elapsed_s:.0f} s: {n_accepted:,} accepted, all of whose jobs ended, "
        f"{n_files - n_accepted:,} refused, no 5xx; no process of the service died, "
        f"{figures['decoder_deaths']} decoders did; memory gained: "
        + ", ".join(f"{name} {gain:+.0f} MB" for name, gain in gained.items()),
        figures,
    )


def _post_many(client: httpx.Client, n_files: int, seed: int, tally: Tally) -> None:
    at = 0

    @drawn_from(seed)
    @settings(
        max_examples=n_files,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated_files())
    def post(file: Sent) -> None:
        nonlocal at
        at += 1
        answer = _answer(client, file, at, tally)
        tally.statuses[str(answer.status_code)] += 1
        if answer.status_code == 202:
            tally.jobs.append(answer.json()["id"])
            return
        assert answer.status_code in REFUSALS, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] != "/problems/internal-error", problem
        assert len(problem["detail"]) < 1_000
        tally.refusals[problem["type"].rpartition("/")[2]] += 1

    post()


def _answer(client: httpx.Client, file: Sent, at: int, tally: Tally) -> httpx.Response:
    upload = (file.filename, file.data)
    path, files, form = "/classify", [("file", upload)], {}
    if at % EXPLAIN_EVERY == 0:
        path, form = "/explain", {"concepts": "0", "start_s": "0", "duration_s": "1"}
    elif at % CHECK_EVERY == 0 and file.kind != "midi":
        path, files, form = "/explain/check", [("stem", upload)], {"instrument": "Violin"}
    deadline = time.monotonic() + RETRY_S
    while True:
        answer = client.post(path, files=files, data=form)
        is_full = answer.status_code == 503 and "queue-full" in answer.text
        if not is_full or time.monotonic() > deadline:
            return answer
        assert int(answer.headers["retry-after"]) > 0
        tally.n_full += 1
        time.sleep(0.2)


def _outcomes(stack: Stack, job_ids: list[str]) -> Counter[str]:
    """How the jobs ended, once all have: succeeded, or failed for a reason that is the file's."""
    found: Counter[str] = Counter()
    for job_id in job_ids:
        job: dict[str, Any] = {}

        def ended(job_id: str = job_id, job: dict[str, Any] = job) -> bool:
            job.update(stack.client.get(f"/jobs/{job_id}").json())
            return job["status"] in ("succeeded", "failed")

        wait_until(ended, END_S, f"the end of job {job_id}", every_s=0.2)
        if job["status"] == "succeeded":
            found["succeeded"] += 1
            continue
        error = job["error"]
        assert error["status"] in REFUSALS, error
        found[error["type"].rpartition("/")[2]] += 1
    return found


def _resident(stack: Stack) -> dict[str, int]:
    """Resident memory of the API, of the pool's processes and of the fork servers of each, in bytes."""
    pool = stack.worker.children()
    return {
        "api": _resident_bytes([stack.api.pid]),
        "worker": _resident_bytes(pool),
        "fork servers": _resident_bytes([each for pid in (stack.api.pid, *pool) for each in _children(pid)]),
    }


def _resident_bytes(pids: list[int]) -> int:
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _decoder_deaths(stack: Stack) -> int:
    with Redis.from_url(stack.redis_url) as redis:
        return sum(Figures(redis).collect().counters.get("decoder_deaths", {}).values())
