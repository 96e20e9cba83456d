"""Redis stands still, is cut off, full, gone for a while, or comes back empty: the service recovers alone.

One service for all tests, whose processes are the same at the end as at the beginning.
"""

import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration import sounds
from tests.integration.processes import wait_until
from tests.reliability.chaos import Service, n_ended, n_ends, submit, submit_all
from tests.reliability.conftest import Size
from tests.reliability.orders import Order, mixed, orders_of
from tests.reliability.report import Report
from worker import keys
from worker.connection import ANSWER_TIMEOUT_S
from worker.jobs import JobStatus

END_S = 600.0
GONE_S = 30.0
LEAST_FAULTS = 8
BACK_S = 60.0
"""How long the service may take to work again once Redis does."""
ANSWERED_S = ANSWER_TIMEOUT_S + 5.0
"""How long the API may think about a Redis that says nothing."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def same_processes(service: Service) -> Iterator[None]:
    """Nobody has to restart anything."""
    service.wait_until_ready(len(service.workers))
    before = _processes(service)
    yield
    assert _processes(service) == before


def long_order(service: Service, client: httpx.Client) -> Order:
    """An explanation that takes some seconds."""
    known = [each["instrument"] for each in client.get("/instruments").json()["instruments"]]
    file = ("file", ("x", sounds.audio_file(sounds.tone(2.0))))
    return Order("long", "/explain", (("instruments", tuple(known[:8])), ("concepts", ("2",))), (file,))


def start_long(service: Service, client: httpx.Client) -> str:
    """The id of a job that runs, and will for some seconds."""
    job_id = submit(client, long_order(service, client)).job_id
    wait_until(lambda: service.job(job_id).status is JobStatus.RUNNING, END_S, "a running job")
    return job_id


def wait_for_end(service: Service, job_id: str, timeout_s: float = END_S) -> None:
    """Until a job has succeeded."""
    wait_until(lambda: service.job(job_id).status.is_terminal, timeout_s, f"the end of {job_id}")
    job = service.job(job_id)
    assert (job.status, job.error, n_ends(service, job_id)) == (JobStatus.SUCCEEDED, None, 1)


def assert_works_again(service: Service, client: httpx.Client) -> float:
    """A new job is taken and done; how long that took in seconds."""
    began_at = time.monotonic()
    wait_for_end(service, submit(client, orders_of("classify")[0]).job_id, BACK_S)
    return time.monotonic() - began_at


def test_redis_stands_still(service: Service, client: httpx.Client, size: Size, report: Report) -> None:
    """For longer than a lease: who works on goes on working, and its attempt is not given to another."""
    stopped_s = float(size.of(12, 20))
    running = start_long(service, client)
    waiting = [each.job_id for each in submit_all(client, list(orders_of("classify")))]
    service.redis.popen.send_signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    try:
        with ThreadPoolExecutor(4) as pool:
            asked = [
                pool.submit(_timed, client, "GET", "/jobs"),
                pool.submit(_timed, client, "GET", f"/jobs/{running}"),
                pool.submit(_timed, client, "GET", "/health/ready"),
                pool.submit(_timed, client, "POST", "/classify"),
            ]
            assert _timed(client, "GET", "/health/live")[0].status_code == 200
            answers = [each.result() for each in asked]
        time.sleep(max(0.0, stopped_s - (time.monotonic() - stopped_at)))
    finally:
        service.redis.popen.send_signal(signal.SIGCONT)
    for answer, took_s in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert took_s < ANSWERED_S
    back_s = assert_works_again(service, client)
    for job_id in (running, *waiting):
        wait_for_end(service, job_id)
        assert service.job(job_id).attempts == 1
    slowest_s = max(took_s for _, took_s in answers)
    report.keep(
        "redis",
        "stands still",
        f"SIGSTOP for {stopped_s:.0f} s: 503 within {slowest_s:.1f} s meanwhile, a new job done "
        f"{back_s:.1f} s after it went on, {1 + len(waiting)} of {1 + len(waiting)} jobs succeeded in their "
        "first attempt",
        {"stopped_s": stopped_s, "slowest_answer_s": slowest_s, "works_again_after_s": back_s},
    )


def test_connections_are_cut_midway(
    service: Service, client: httpx.Client, size: Size, seed: int, report: Report
) -> None:
    draw = random.Random(seed)
    orders = [long_order(service, client), *mixed(size.of(12, 150), draw)]
    n_before, cut_before = n_ended(service), service.proxy.n_cut
    with service.connect() as redis:
        jobs_before = redis.zcard(keys.JOBS)
    finished, faults = threading.Event(), Counter[str]()
    cutting = threading.Thread(target=_cut, args=(service, draw, finished, faults))
    cutting.start()
    try:
        submitted = submit_all(client, orders)
        wait_until(lambda: n_ended(service) >= n_before + len(orders) // 2, END_S, "half of the ends")
        wait_until(lambda: faults.total() >= LEAST_FAULTS, END_S, "faults enough")
    finally:
        finished.set()
        cutting.join()
    wait_until(lambda: n_ended(service) >= n_before + len(orders), END_S, "all ends", every_s=0.2)
    with service.connect() as redis:
        assert redis.zcard(keys.JOBS) == jobs_before + len(orders)
    for each in submitted:
        wait_for_end(service, each.job_id)
    n_cut = service.proxy.n_cut - cut_before
    assert n_cut >= 1
    assert_works_again(service, client)
    report.keep(
        "redis",
        "cut midway",
        f"{n_cut} connections cut during {len(orders)} jobs: all succeeded, each once",
        {
            "cut": n_cut,
            "faults": dict(faults),
            "jobs": len(orders),
            "requests_sent": sum(each.n_sent for each in submitted),
        },
    )


def test_redis_is_full(service: Service, client: httpx.Client, size: Size) -> None:
    """Nothing can be written for a while, neither a report nor a lease: it is neither lost nor counted."""
    size.require_full()
    running = start_long(service, client)
    with service.connect() as redis:
        redis.config_set("maxmemory", "1")
        try:
            for method, path in (("POST", "/classify"), ("GET", "/health/ready")):
                answer, _ = _timed(client, method, path)
                assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
            time.sleep(3.0)
        finally:
            redis.config_set("maxmemory", "0")
    assert_works_again(service, client)
    wait_for_end(service, running)
    assert service.job(running).attempts == 1


def test_redis_goes_and_comes_back(service: Service, client: httpx.Client, size: Size) -> None:
    size.require_full()
    running = start_long(service, client)
    service.redis.kill()
    began_at = time.monotonic()
    while time.monotonic() - began_at < GONE_S:
        answer, took_s = _timed(client, "GET", f"/jobs/{running}")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
        assert took_s < ANSWERED_S
        time.sleep(1.0)
    service.start_redis()
    assert_works_again(service, client)
    wait_for_end(service, running)


def test_redis_comes_back_empty(service: Service, client: httpx.Client, report: Report) -> None:
    """What it held is gone, and said to be; everything else goes on."""
    running = start_long(service, client)
    service.redis.kill()
    for path in service.folder.glob("appendonlydir*"):
        shutil.rmtree(path)
    service.start_redis()
    answer, _ = _timed(client, "GET", f"/jobs/{running}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-job")
    back_s = assert_works_again(service, client)
    report.keep(
        "redis",
        "comes back empty",
        f"restarted empty: old jobs 404, a new one done after {back_s:.1f} s by the same processes",
        {"works_again_after_s": back_s},
    )


def _processes(service: Service) -> list[int]:
    pools = [pid for worker in service.workers for pid in worker.children()]
    return [service.api.pid, *(worker.pid for worker in service.workers), *pools]


def _timed(client: httpx.Client, method: str, path: str) -> tuple[httpx.Response, float]:
    """An answer, and how long it took in seconds."""
    files = [("file", ("x", sounds.audio_file(sounds.tone(1.0))))] if method == "POST" else None
    began_at = time.monotonic()
    return client.request(method, path, files=files), time.monotonic() - began_at


def _cut(service: Service, draw: random.Random, finished: threading.Event, faults: Counter[str]) -> None:
    """Cuts all connections, or loses one answer, a few times a second."""
    while not finished.wait(draw.uniform(0.1, 0.6)):
        fault = draw.choice(("all", "all", "all", "EVALSHA", "EXEC", "BRPOP"))
        faults[fault] += 1
        if fault == "all":
            service.proxy.cut()
        else:
            service.proxy.swallow_answer_to(fault.encode())
