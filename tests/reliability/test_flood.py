"""Far more submissions than the queue takes: each is answered, each accepted job ends, others are served.

And what nobody waits for never keeps what people wait for waiting longer than for one task.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from ml.dataset.shards import CLIPS_PER_SHARD
from service.edge.settings import EdgeSettings
from tests.integration import sounds
from tests.integration.processes import ANEW, ROOT, Process, wait_until
from tests.reliability.chaos import ADMIN_KEY, Service, n_ended, n_ends, submit
from tests.reliability.conftest import MAX_QUEUED, Size
from tests.reliability.orders import orders_of
from tests.reliability.report import Report
from worker.jobs import JobStatus

N_CONNECTIONS = 200
END_S = 1_200.0
ANSWER_S = 120.0
MOST_SLOWER = 10.0
# The short form runs beside other tests on two cores; there only a stuck API is to be told from a busy one.
SHORT_MOST_S = 10.0

pytestmark = pytest.mark.slow


def test_every_submission_of_a_flood_is_answered_and_every_accepted_one_ends(
    service: Service, client: httpx.Client, size: Size, report: Report
) -> None:
    n_submissions = size.of(240, 2_000)
    known = submit(client, orders_of("classify")[0]).job_id
    wait_until(lambda: service.job(known).status.is_terminal, END_S, "a job")
    with _looking(service, known) as calm_s:
        time.sleep(size.of(2, 10))
    n_before, began_at = n_ended(service), time.monotonic()
    with _looking(service, known) as under_load_s:
        answers = asyncio.run(_flood(service.url, n_submissions))
    flood_s = time.monotonic() - began_at
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {202, 429, 503}
    # The queue has room for more than are taken in at once; and in the full form, many times as many come.
    assert statuses[202] >= size.of(EdgeSettings().max_uploads, MAX_QUEUED)
    assert statuses.total() == n_submissions
    for answer in answers:
        if answer.status_code != 202:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["type"] in {"/problems/queue-full", "/problems/too-many-uploads"}
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    wait_until(lambda: n_ended(service) >= n_before + len(accepted), END_S, "all ends", every_s=0.5)
    for job_id in accepted:
        assert (service.job(job_id).status, n_ends(service, job_id)) == (JobStatus.SUCCEEDED, 1)
    calm_p99_s, load_p99_s = float(np.quantile(calm_s, 0.99)), float(np.quantile(under_load_s, 0.99))
    assert load_p99_s < (MOST_SLOWER * calm_p99_s if size.is_full else SHORT_MOST_S)
    report.keep(
        "flood",
        "flood",
        f"{n_submissions:,} submissions in {flood_s:.1f} s: {statuses[202]} x 202, {statuses[429]} x 429, "
        f"{statuses[503]} x 503; all {len(accepted)} accepted jobs ended; p99 of `GET /jobs/{{id}}` "
        f"{1e3 * calm_p99_s:.1f} ms calm, {1e3 * load_p99_s:.1f} ms under load "
        f"({load_p99_s / calm_p99_s:.1f} x)",
        {
            "submissions": n_submissions,
            "statuses": {str(status): count for status, count in statuses.items()},
            "flood_s": round(flood_s, 2),
            "calm_p50_ms": 1e3 * float(np.median(calm_s)),
            "calm_p99_ms": 1e3 * calm_p99_s,
            "load_p50_ms": 1e3 * float(np.median(under_load_s)),
            "load_p99_ms": 1e3 * load_p99_s,
            "gets_under_load": len(under_load_s),
        },
    )


def test_a_data_set_delays_nobody_by_more_than_one_task(service: Service, client: httpx.Client) -> None:
    """Of what a process does after a job was accepted, at most one task comes before it."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    recipe: dict[str, Any] = {
        "name": "crowd",
        "n_clips": 20 * CLIPS_PER_SHARD,
        "clip_duration_s": 0.5,
        "validation_share": 0.5,
    }
    made = client.post("/datasets", json={"recipe": recipe}, headers=headers)
    assert made.status_code == 202, made.text
    dataset = made.json()["id"]
    wait_until(lambda: service.job(dataset).progress.stage == "rendering", END_S, "rendering")
    for order in orders_of("classify")[:3]:
        before = [_starts(worker) for worker in service.workers]
        job_id = submit(client, order).job_id
        wait_until(lambda job_id=job_id: service.job(job_id).status.is_terminal, END_S, "a job")  # type: ignore[misc]
        assert service.job(dataset).status is JobStatus.RUNNING  # it was there all the time
        since = [_starts(worker)[len(old) :] for worker, old in zip(service.workers, before, strict=True)]
        (own,) = (starts for starts in since if any(job_id in line for line in starts))
        assert next(number for number, line in enumerate(own) if job_id in line) <= 1
    assert client.delete(f"/jobs/{dataset}", headers=headers).status_code == 200


def _starts(worker: Process) -> list[str]:
    """The lines of a worker's log that say that it has begun something."""
    return [line for line in worker.text().splitlines() if "message=started" in line]


@contextmanager
def _looking(service: Service, job_id: str) -> Iterator[list[float]]:
    """Somebody looks at a job all the while; how long each look took in seconds, once the context is left."""
    command = [sys.executable, "-m", "tests.reliability.looks", f"{service.url}/jobs/{job_id}"]
    looks_s: list[float] = []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as looker:
        time.sleep(1.0)  # it takes a moment to start
        yield looks_s
        said, _ = looker.communicate()
    looks_s.extend(json.loads(said))


async def _flood(url: str, n_submissions: int) -> list[httpx.Response]:
    """The answers to all submissions, sent at once."""
    # None is used twice: so busy a client would send on one that the service has closed for being idle.
    limits = httpx.Limits(max_connections=N_CONNECTIONS, max_keepalive_connections=0)
    form = httpx.Request("POST", url, files={"file": ("x", sounds.audio_file(sounds.tone(0.5)))})
    body, headers = form.read(), {"Content-Type": form.headers["Content-Type"]}
    free = asyncio.Semaphore(N_CONNECTIONS)  # the client's own pool takes minutes over so many

    async def send(client: httpx.AsyncClient) -> httpx.Response:
        async with free:
            return await client.post("/classify", content=body, headers=headers)

    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_S, headers=ANEW, limits=limits) as client:
        return list(await asyncio.gather(*(send(client) for _ in range(n_submissions))))
