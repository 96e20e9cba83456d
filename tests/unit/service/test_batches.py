"""`POST /classify/batch` and `POST /explain/batch`: a job for each file, one answer for all."""

import threading
import time
from typing import Any

import httpx
import pytest
from redis import Redis

from service.intake.recordings import Upload
from service.submitting.fingerprints import whole_fingerprint
from service.submitting.idempotent import mark_name
from service.submitting.submission import Submission
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, wav
from worker import keys
from worker.catalog import Catalog
from worker.idempotency import Mark, Marks
from worker.jobs import ANYONE, JobKind
from worker.questions import PLAIN, Parameters
from worker.store import JobStore

CALLS = ["/classify/batch", "/explain/batch"]
KEY = {"Idempotency-Key": "mine"}
GOOD, LONGER, BAD = ("clip.wav", wav()), ("longer.wav", wav(1.5)), ("notes.txt", b"no sound")


def send(
    api: httpx.Client, *files: tuple[str, bytes], call: str = "/classify/batch", **more: Any
) -> httpx.Response:
    return api.post(call, files=[("file", file) for file in files], **more)


@pytest.mark.parametrize("call", CALLS)
def test_each_file_has_its_job(api: httpx.Client, store: JobStore, call: str) -> None:
    answer = send(api, GOOD, LONGER, call=call)
    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "1"
    entries = answer.json()["jobs"]
    assert [entry["filename"] for entry in entries] == ["clip.wav", "longer.wav"]
    for entry, (name, data) in zip(entries, (GOOD, LONGER), strict=True):
        assert set(entry) == {"filename", "job"}
        assert entry["job"]["input"]["filename"] == name
        assert api.get(entry["job"]["links"]["self"]).json() == entry["job"]
        assert store.uploads(entry["job"]["id"]) == (data,)
    assert {entry["job"]["kind"] for entry in entries} == {call.split("/")[1]}
    assert [entry["job"]["progress"]["queue_position"] for entry in entries] == [1, 2]


def test_the_other_fields_hold_for_all(api: httpx.Client, store: JobStore) -> None:
    fields = {"instruments": ["Violin", "Trumpet"], "concepts": "2", "threshold": "0.25", "duration_s": "0.5"}
    entries = send(api, GOOD, LONGER, call="/explain/batch", data=fields).json()["jobs"]
    for entry in entries:
        job = store.get(entry["job"]["id"])
        assert job.kind is JobKind.EXPLAIN
        assert job.parameters == Parameters(0.25, ("Violin", "Trumpet"), 2, duration_s=0.5)


def test_a_bad_file_takes_nothing_from_the_others(api: httpx.Client) -> None:
    answer = send(api, GOOD, BAD, GOOD, ("../silly\x01name", b""))
    assert answer.status_code == 202
    entries = answer.json()["jobs"]
    assert ["job" in entry for entry in entries] == [True, False, True, False]
    assert entries[1]["filename"] == "notes.txt"
    assert entries[1]["problem"]["type"] == "/problems/unknown-format"
    assert entries[1]["problem"]["status"] == 415
    assert "/" not in entries[3]["filename"]
    assert len(api.get("/jobs").json()["jobs"]) == 2


def test_when_none_is_accepted(api: httpx.Client) -> None:
    problem = assert_problem(send(api, BAD, ("b.txt", b"none")), 415, "unknown-format")
    assert problem["detail"].startswith("No file was accepted; 'notes.txt': ")
    assert [entry["filename"] for entry in problem["jobs"]] == ["notes.txt", "b.txt"]
    assert {entry["problem"]["type"] for entry in problem["jobs"]} == {"/problems/unknown-format"}
    assert api.get("/jobs").json()["jobs"] == []


def test_what_is_wrong_with_the_request_is_said_once(api: httpx.Client) -> None:
    problem = assert_problem(send(api, GOOD, GOOD, data={"threshold": "2"}), 422, "invalid-request")
    assert [fault["field"] for fault in problem["errors"]] == ["threshold"]
    assert_problem(send(api, GOOD, data={"model": ["default", "default"]}), 422, "invalid-request")
    assert_problem(api.post("/classify/batch", files={"fiel": GOOD}), 422, "invalid-request")
    problem = assert_problem(
        api.post("/classify/batch", files={"file": (None, "text")}), 422, "invalid-request"
    )
    assert problem["errors"][0]["message"] == "This has to be a file, sent with a file name"
    assert_problem(send(api, GOOD, GOOD, data={"model": "best"}), 422, "unknown-model")


def test_too_many_files(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_batch_files=2)
    assert send(api, GOOD, GOOD).status_code == 202
    problem = assert_problem(send(api, GOOD, GOOD, GOOD), 422, "invalid-request")
    assert problem["errors"] == [{"field": "file", "message": "There are 3 files; one request may have 2"}]
    assert_problem(send(api, *[("x", b"")] * 300), 422, "invalid-request")


def test_each_file_has_the_bound_of_a_recording(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_upload_bytes=len(GOOD[1]), max_request_bytes=10 * len(GOOD[1]))
    entries = send(api, GOOD, LONGER, GOOD).json()["jobs"]
    assert entries[1]["problem"]["type"] == "/problems/too-many-bytes"
    assert ["job" in entry for entry in entries] == [True, False, True]
    too_much = send(api, *[("big.wav", bytes(len(GOOD[1])))] * 30)
    assert_problem(too_much, 413, "too-many-bytes")


def test_a_queue_that_fills_up(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_queued_interactive=2)
    answer = send(api, GOOD, GOOD, GOOD, BAD)
    assert answer.status_code == 202
    entries = answer.json()["jobs"]
    assert ["job" in entry for entry in entries] == [True, True, False, False]
    assert entries[2]["problem"]["type"] == "/problems/queue-full"
    refused = send(api, BAD, GOOD)
    problem = assert_problem(refused, 503, "queue-full")
    assert int(refused.headers["retry-after"]) > 0
    assert [entry["problem"]["status"] for entry in problem["jobs"]] == [503, 503]


def test_without_a_store(start_api: StartApi) -> None:
    api = start_api(redis_url="unix:///nowhere.sock")
    started = time.monotonic()
    refused = send(api, *[GOOD] * 8)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert time.monotonic() - started < 20.0


def test_waiting_for_all(api: httpx.Client, store: JobStore) -> None:
    def work() -> None:
        while len(found := store.page(9, audiences={ANYONE}).jobs) < 2:
            time.sleep(0.01)
        for job in found:
            store.begin(job.id, "mine", max_attempts=3)
            store.succeed(job.id, "mine", {"instruments": [], "timeline": []})

    worker = threading.Thread(target=work)
    worker.start()
    answer = send(api, GOOD, BAD, LONGER, headers={"Prefer": "wait=20"})
    worker.join()
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=20")
    assert "retry-after" not in answer.headers
    statuses = [entry["job"]["status"] for entry in answer.json()["jobs"] if "job" in entry]
    assert statuses == ["succeeded", "succeeded"]


def test_waiting_is_over_in_time(api: httpx.Client) -> None:
    started = time.monotonic()
    answer = send(api, *[GOOD] * 3, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert 1.0 <= time.monotonic() - started < 6.0


def test_a_retry_makes_only_what_is_missing(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_queued_interactive=2)
    first = send(api, GOOD, GOOD, LONGER, headers=KEY)
    made = [entry["job"]["id"] for entry in first.json()["jobs"] if "job" in entry]
    assert len(made) == 2
    assert "idempotency-replayed" not in first.headers
    roomier = start_api(max_queued_interactive=9)
    again = send(roomier, GOOD, GOOD, LONGER, headers=KEY)
    entries = again.json()["jobs"]
    assert [entry["job"]["id"] for entry in entries[:2]] == made
    assert entries[2]["job"]["status"] == "queued"
    assert "idempotency-replayed" not in again.headers
    third = send(roomier, GOOD, GOOD, LONGER, headers=KEY)
    assert third.headers["idempotency-replayed"] == "true"
    assert third.json() == again.json()
    assert len(roomier.get("/jobs").json()["jobs"]) == 3


@pytest.mark.parametrize(
    "files",
    [(GOOD, GOOD), (LONGER, GOOD), (GOOD,), (GOOD, LONGER, BAD), (GOOD, ("other.wav", LONGER[1]))],
    ids=["changed", "in another order", "fewer", "more", "renamed"],
)
def test_other_files_under_the_same_key(api: httpx.Client, files: tuple[tuple[str, bytes], ...]) -> None:
    first = send(api, GOOD, LONGER, headers=KEY)
    assert_problem(send(api, *files, headers=KEY), 422, "idempotency-key-reused")
    fields = {"threshold": "0.25"}
    assert_problem(send(api, GOOD, LONGER, headers=KEY, data=fields), 422, "idempotency-key-reused")
    again = send(api, GOOD, LONGER, headers=KEY)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert len(api.get("/jobs").json()["jobs"]) == 2


def test_the_key_of_a_batch_is_free_with_the_last_of_its_jobs(api: httpx.Client, redis_url: str) -> None:
    made = [entry["job"] for entry in send(api, GOOD, LONGER, headers=KEY).json()["jobs"]]
    redis = Redis.from_url(redis_url)
    whole = keys.idempotency("", mark_name("/classify/batch", KEY["Idempotency-Key"]))
    for job in made:
        assert_problem(send(api, GOOD, headers=KEY), 422, "idempotency-key-reused")
        api.delete(job["links"]["self"])  # cancelled: it expires as it does
        left_ms = [redis.pttl(keys.record(each["id"])) for each in made]
        assert abs(redis.pttl(whole) - max(left_ms)) < 1_000
        api.delete(job["links"]["self"])
    assert redis.keys(keys.idempotency("*", "*")) == []
    assert send(api, GOOD, headers=KEY).status_code == 202


def test_a_refused_batch_frees_its_key(api: httpx.Client) -> None:
    assert_problem(send(api, BAD, headers=KEY), 415, "unknown-format")
    assert send(api, GOOD, LONGER, headers=KEY).status_code == 202


def test_a_batch_while_it_is_being_taken(api: httpx.Client, redis_url: str) -> None:
    marks = Marks(Redis.from_url(redis_url))
    places = [
        Submission(JobKind.CLASSIFY, Upload(name, data), None, PLAIN).fingerprint
        for name, data in (GOOD, LONGER)
    ]
    held = Mark(mark_name("/classify/batch", KEY["Idempotency-Key"]), whole_fingerprint(places))
    marks.take("", held)
    assert_problem(send(api, GOOD, LONGER, headers=KEY), 409, "idempotency-in-flight")
    assert_problem(send(api, GOOD, headers=KEY), 422, "idempotency-key-reused")
    assert api.get("/jobs").json()["jobs"] == []
    marks.free("", held)
    assert send(api, GOOD, LONGER, headers=KEY).status_code == 202


def test_a_batch_costs_as_many_as_it_has_files(start_api: StartApi, models: Catalog) -> None:
    api = start_api(admin_key="secret", rate_per_minute=3)
    headers = {"Authorization": "Bearer secret"}
    assert send(api, GOOD, GOOD, GOOD, headers=headers).status_code == 202
    assert_problem(send(api, GOOD, headers=headers), 429, "rate-limited")


def test_an_earlier_answer_is_one_here_too(api: httpx.Client, store: JobStore) -> None:
    job = send(api, GOOD).json()["jobs"][0]["job"]
    store.begin(job["id"], "mine", max_attempts=3)
    store.succeed(job["id"], "mine", {"instruments": [], "timeline": []})
    answer = send(api, GOOD, headers={"Cache-Control": "max-age=60"})
    assert answer.status_code == 200
    assert answer.json()["jobs"][0]["job"]["cached"] is True
