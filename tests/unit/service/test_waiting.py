"""`Prefer: wait`: the header, and the answers to a client that waits."""

import threading
import time

import httpx
import pytest

from ml.media import NonFiniteSamplesError
from service.answering.prefer import wait_s
from tests.unit.service.requests_made import assert_problem, post
from worker.jobs import ANYONE
from worker.problems import problem_of
from worker.store import JobStore


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=5", 5),
        ("WAIT = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=5", 5),
        ("wait=5, wait=9", 5),
        ("wait=5; note=x", 5),
        ("wait=0", 0),
        ("wait=31", 30),
        ("wait=999999999", 30),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait", None),
        ("await=5", None),
    ],
)
def test_the_header(header: str | None, seconds: int | None) -> None:
    assert wait_s(header) == seconds


def play_the_worker(store: JobStore, end: str) -> threading.Thread:
    """Ends the next job that waits, soon."""

    def work() -> None:
        while not (page := store.page(1, audiences={ANYONE}).jobs):
            time.sleep(0.01)
        (job,) = page
        if end == "cancel":
            store.cancel(job.id)
            return
        store.begin(job.id, "mine", max_attempts=3)
        if end == "succeed":
            store.succeed(job.id, "mine", {"instruments": [], "timeline": []})
        else:
            store.fail(job.id, "mine", problem_of(NonFiniteSamplesError("Sample 3 is NaN.")))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_success(api: httpx.Client, store: JobStore) -> None:
    worker = play_the_worker(store, "succeed")
    answer = post(api, "/classify", headers={"Prefer": "wait=20"})
    worker.join()
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["status"] == "succeeded"
    assert answer.json()["result"] == {"instruments": [], "timeline": []}
    assert answer.headers["location"] == answer.json()["links"]["self"]
    assert "retry-after" not in answer.headers


def test_failure(api: httpx.Client, store: JobStore) -> None:
    worker = play_the_worker(store, "fail")
    answer = post(api, headers={"Prefer": "wait=20"})
    worker.join()
    problem = assert_problem(answer, 422, "non-finite-samples")
    assert problem["detail"] == "Sample 3 is NaN."
    assert problem["instance"] == answer.headers["location"]
    job = api.get(problem["instance"]).json()
    assert (job["status"], job["error"]) == ("failed", problem)


def test_cancelled_meanwhile(api: httpx.Client, store: JobStore) -> None:
    worker = play_the_worker(store, "cancel")
    answer = post(api, headers={"Prefer": "wait=20"})
    worker.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize("seconds", [0, 1])
def test_too_short_a_wait(api: httpx.Client, seconds: int) -> None:
    started = time.monotonic()
    answer = post(api, headers={"Prefer": f"wait={seconds}"})
    assert seconds <= time.monotonic() - started < seconds + 2.0
    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["progress"]["queue_position"] == 1
