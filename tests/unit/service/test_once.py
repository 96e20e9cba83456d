"""`Idempotency-Key`: a request that is sent again makes no second job, whatever became of the first."""

from typing import Any

import httpx
import pytest
from redis import Redis

from ml.media import NonFiniteSamplesError
from service.intake.recordings import Upload
from service.submitting.idempotent import mark_name
from service.submitting.submission import Submission
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post, wav
from worker import keys
from worker.catalog import Catalog
from worker.idempotency import Mark, Marks
from worker.jobs import JobKind
from worker.problems import problem_of
from worker.questions import PLAIN
from worker.store import JobStore

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
ADMIN = {"Authorization": "Bearer secret"}
REPLAYED = "idempotency-replayed"
RECIPE = {"name": "winds", "n_clips": 10, "instruments": ["Trumpet", "Piccolo"], "validation_share": 0.2}


def jobs_of(api: httpx.Client, **more: Any) -> int:
    return len(api.get("/jobs", **more).json()["jobs"])


@pytest.mark.parametrize("call", ["/classify", "/explain"])
def test_the_same_request_again(api: httpx.Client, call: str) -> None:
    first = post(api, call, headers=KEY)
    assert first.status_code == 202
    assert REPLAYED not in first.headers
    again = post(api, call, headers=KEY)
    assert again.status_code == 202
    assert again.headers[REPLAYED] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()
    assert jobs_of(api) == 1
    assert post(api, call).json()["id"] != first.json()["id"]


def test_how_the_form_is_written_makes_no_difference(api: httpx.Client) -> None:
    fields = {"threshold": "0.5", "concepts": "7", "instruments": ["Violin", "Trumpet"]}
    other_way = {"concepts": "07", "instruments": ["Violin", "Trumpet"], "threshold": "0.50"}
    first = post(api, fields=fields, headers=KEY)
    quoted = {"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'}
    again = post(api, fields=other_way, headers=quoted)
    assert again.headers[REPLAYED] == "true"
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize(
    "other",
    [
        {"data": wav(1.5)},
        {"name": "other.wav"},
        {"fields": {"concepts": "1"}},
        {"fields": {"model": "default"}},
    ],
    ids=["sound", "name", "field", "model"],
)
def test_another_request_under_the_same_key(api: httpx.Client, other: dict[str, Any]) -> None:
    first = post(api, headers=KEY)
    assert_problem(post(api, headers=KEY, **other), 422, "idempotency-key-reused")
    assert post(api, headers=KEY).json()["id"] == first.json()["id"]
    assert jobs_of(api) == 1


def test_keys_are_of_one_call(api: httpx.Client) -> None:
    made = {post(api, call, headers=KEY).json()["id"] for call in ("/classify", "/explain")}
    assert len(made) == 2


def test_keys_are_of_one_caller(start_api: StartApi, models: Catalog) -> None:
    api = start_api(admin_key="secret")
    anonymous = post(api, headers=KEY).json()["id"]
    admins = post(api, headers={**KEY, **ADMIN}, data=wav(1.5))
    assert admins.status_code == 202
    assert admins.json()["id"] != anonymous


@pytest.mark.parametrize("sent", ["", "x" * 256, "two words", "tab\there", "sch\u00f6n"])
def test_a_key_that_is_none(api: httpx.Client, sent: str) -> None:
    headers = {b"Idempotency-Key": sent.encode()}
    problem = assert_problem(post(api, headers=headers), 422, "invalid-request")
    assert problem["errors"][0]["field"].lower() == "idempotency-key"
    assert jobs_of(api) == 0


def test_two_keys(api: httpx.Client) -> None:
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    problem = assert_problem(post(api, headers=headers), 422, "invalid-request")
    assert "sent 2 times" in problem["detail"]


def test_while_the_first_is_being_decided(api: httpx.Client, redis_url: str) -> None:
    marks = Marks(Redis.from_url(redis_url))
    mark = Mark(mark_name("/classify", KEY["Idempotency-Key"]), "what the first one asks")
    marks.take("", mark)
    assert_problem(post(api, "/classify", headers=KEY), 422, "idempotency-key-reused")
    marks.free("", mark)
    submission = Submission(JobKind.CLASSIFY, Upload("clip.wav", wav()), None, PLAIN)
    held = Mark(mark.name, submission.fingerprint)
    marks.take("", held)
    answer = post(api, "/classify", headers=KEY)
    assert_problem(answer, 409, "idempotency-in-flight")
    assert answer.headers["retry-after"] == "1"
    marks.free("", held)
    assert post(api, "/classify", headers=KEY).status_code == 202


def test_a_refused_request_frees_its_key(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_queued_interactive=1)
    assert_problem(post(api, data=b"no sound", headers=KEY), 415, "unknown-format")
    assert_problem(post(api, fields={"instruments": "Kazoo"}, headers=KEY), 422, "unknown-instrument")
    waiting = post(api).json()
    assert_problem(post(api, headers=KEY), 503, "queue-full")
    api.delete(waiting["links"]["self"])
    made = post(api, headers=KEY)
    assert made.status_code == 202
    # Full or not: what was accepted is the answer.
    assert post(api, headers=KEY).json()["id"] == made.json()["id"]


def test_an_ended_job_is_the_answer(api: httpx.Client, store: JobStore) -> None:
    job = post(api, "/classify", headers=KEY).json()
    store.begin(job["id"], "mine", max_attempts=3)
    store.succeed(job["id"], "mine", {"instruments": [], "timeline": []})
    again = post(api, "/classify", headers=KEY)
    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")
    assert again.json() == api.get(job["links"]["self"]).json()


def test_a_failed_job_is_the_answer_too(api: httpx.Client, store: JobStore) -> None:
    job = post(api, "/classify", headers=KEY).json()
    store.begin(job["id"], "mine", max_attempts=3)
    store.fail(job["id"], "mine", problem_of(NonFiniteSamplesError("Sample 3 is NaN.")))
    again = post(api, "/classify", headers=KEY)
    assert_problem(again, 422, "non-finite-samples")
    assert (again.headers["location"], again.headers[REPLAYED]) == (job["links"]["self"], "true")
    assert jobs_of(api) == 1


def test_a_deleted_job_frees_its_key(api: httpx.Client) -> None:
    job = post(api, headers=KEY).json()
    for _ in range(2):
        api.delete(job["links"]["self"])
    other = post(api, data=wav(1.5), headers=KEY)
    assert other.status_code == 202
    assert REPLAYED not in other.headers


def test_a_check_again(api: httpx.Client) -> None:
    files = [("stem", ("a.wav", wav())), ("stem", ("b.wav", wav()))]
    made = [
        api.post("/explain/check", files=files, data={"instrument": order}, headers=KEY)
        for order in (["Violin", "Trumpet"], ["Violin", "Trumpet"], ["Trumpet", "Violin"])
    ]
    assert made[0].json()["id"] == made[1].json()["id"]
    assert made[1].headers[REPLAYED] == "true"
    assert_problem(made[2], 422, "idempotency-key-reused")


def test_an_order_again(start_api: StartApi, models: Catalog, redis_url: str) -> None:
    api = start_api(admin_key="secret")
    headers = {**KEY, **ADMIN}
    first = api.post("/datasets", json={"recipe": RECIPE}, headers=headers)
    assert first.status_code == 202, first.text
    again = api.post("/datasets", json={"recipe": dict(reversed(RECIPE.items()))}, headers=headers)
    assert (again.json()["id"], again.headers[REPLAYED]) == (first.json()["id"], "true")
    other = api.post("/datasets", json={"recipe": RECIPE, "name": "reeds"}, headers=headers)
    assert_problem(other, 422, "idempotency-key-reused")
    # Another key for the same place: the job there is the answer, and the key stands for it.
    other_key = {**ADMIN, "Idempotency-Key": "another"}
    for replayed in (None, "true"):
        same = api.post("/datasets", json={"recipe": RECIPE}, headers=other_key)
        assert same.json()["id"] == first.json()["id"]
        assert same.headers.get(REPLAYED) == replayed
    training = {"dataset": first.json()["id"], "model_id": "winds"}
    assert_problem(api.post("/trainings", json=training, headers=headers), 409, "job-unfinished")
    assert len(Redis.from_url(redis_url).keys(keys.idempotency("*", "*"))) == 2


def test_no_key_is_kept_as_it_was_sent(api: httpx.Client, redis_url: str) -> None:
    post(api, headers=KEY)
    names = Redis.from_url(redis_url).keys("*")
    assert KEY["Idempotency-Key"] not in repr(names)
