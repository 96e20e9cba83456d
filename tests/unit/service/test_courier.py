"""The courier: whoever wanted to hear of an end does, in spite of faults, and nobody else."""

import json
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from standardwebhooks import Webhook

from service.settings import ServiceSettings
from service.webhooks import courier
from service.webhooks.client import Answer
from service.webhooks.courier import MAX_ATTEMPTS, Courier, Step, next_step
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post, wav
from tests.unit.service.webhooks.receiving import SECRET, Receiver, Reply, receiving
from tests.unit.worker.jobs_made import new_job
from worker import keys, webhooks
from worker.errors import InternalError
from worker.figures import Figures
from worker.jobs import Job
from worker.problems import problem_of
from worker.store import JobStore
from worker.webhooks import DeliveryStatus, Webhooks

StartCourier = Callable[..., Courier]
pytestmark = pytest.mark.usefixtures("models")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in earnest takes milliseconds here."""
    monkeypatch.setattr(courier, "POLL_S", 0.01)
    monkeypatch.setattr(courier, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(courier, "DELAY_GROWTH", 1.0)


@pytest.fixture
def redis(redis_url: str) -> Redis:
    return Redis.from_url(redis_url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(204) as started:
        yield started


def settings_for(*receivers: Receiver) -> dict[str, Any]:
    return {"webhook_hosts": [each.host for each in receivers], "webhook_secret": SECRET}


@pytest.fixture
def start_courier(redis: Redis, redis_url: str, store: JobStore) -> Iterator[StartCourier]:
    """Starts couriers without an API; they end with the test."""
    with ExitStack() as cleanup:

        def start(receiver: Receiver) -> Courier:
            settings = ServiceSettings(redis_url=redis_url, **settings_for(receiver))
            started = Courier(settings, redis, store)
            started.start()
            cleanup.callback(started.stop, 5.0)
            return started

        yield start


def succeed(store: JobStore, job_id: str) -> None:
    store.begin(job_id, "token", max_attempts=3)
    store.succeed(job_id, "token", {"instruments": [], "timeline": []})


def ended(store: JobStore, url: str) -> Job:
    """A job that has ended, and whose end somebody wants to hear of."""
    job = replace(new_job(), callback=url)
    store.admit(job, b"sound", max_queued=100)
    succeed(store, job.id)
    return store.get(job.id)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_end_of_a_job_is_told_and_signed(
    start_api: StartApi, store: JobStore, receiver: Receiver, redis: Redis
) -> None:
    api = start_api(**settings_for(receiver))
    queued = post(api, "/classify", fields={"webhook": receiver.url}).json()
    path = queued["links"]["self"]
    waiting = {"status": "waiting", "attempts": 0, "last_status": None}
    assert api.get(path).json()["webhook"] == waiting
    succeed(store, queued["id"])
    (told,) = receiver.wait_for(1)
    assert told.path == "/ended?for=test"
    message = Webhook(SECRET).verify(told.body, dict(told.headers))
    job = api.get(path).json()
    assert message == {
        "type": "job.succeeded",
        "timestamp": job["finished_at"],
        "data": {
            **{name: job[name] for name in ("id", "kind", "status", "created_at", "started_at")},
            **{name: job[name] for name in ("finished_at", "expires_at", "error", "links")},
        },
    }
    assert told.headers["webhook-id"] == f"msg_{queued['id']}"
    delivered = {"status": "delivered", "attempts": 1, "last_status": 204}
    until(lambda: api.get(path).json()["webhook"] == delivered)
    assert not redis.exists(keys.WEBHOOKS)
    assert receiver.host not in api.get("/jobs").text
    assert receiver.url not in api.get(path).text


def test_failures_and_cancelled_jobs_are_told_too(
    start_api: StartApi, store: JobStore, receiver: Receiver
) -> None:
    api = start_api(**settings_for(receiver))
    failed, cancelled = (
        post(api, "/explain", fields={"webhook": receiver.url}).json()["id"] for _ in range(2)
    )
    store.begin(failed, "token", max_attempts=3)
    store.fail(failed, "token", problem_of(InternalError("It broke.")))
    assert api.delete(f"/jobs/{cancelled}").status_code == 200
    messages = {
        message["data"]["id"]: message for message in (json.loads(t.body) for t in receiver.wait_for(2))
    }
    assert messages[cancelled]["type"] == "job.cancelled"
    assert messages[failed]["type"] == "job.failed"
    assert messages[failed]["data"]["error"]["detail"] == "It broke."


def test_a_job_without_webhook_says_nothing_of_one(
    start_api: StartApi, store: JobStore, receiver: Receiver
) -> None:
    api = start_api(**settings_for(receiver))
    queued = post(api, "/classify").json()
    succeed(store, queued["id"])
    assert "webhook" not in api.get(queued["links"]["self"]).json()
    assert receiver.told == []


@pytest.mark.parametrize("call", ["/classify", "/explain", "/classify/batch", "/explain/batch"])
def test_a_webhook_elsewhere_is_refused(
    start_api: StartApi, receiver: Receiver, call: str, redis: Redis
) -> None:
    api = start_api(**settings_for(receiver))
    refused = post(api, call, fields={"webhook": "https://169.254.169.254/latest"})
    problem = assert_problem(refused, 422, "invalid-request")
    faults = problem.get("errors") or problem["jobs"][0]["problem"]["errors"]
    assert [fault["field"] for fault in faults] == ["webhook"]
    assert not redis.exists(keys.JOBS)


@pytest.mark.parametrize(("call", "told"), [("/explain/check", 1), ("/classify/batch", 2)])
def test_several_recordings_have_webhooks_too(
    start_api: StartApi, store: JobStore, receiver: Receiver, call: str, told: int
) -> None:
    api = start_api(**settings_for(receiver))
    is_check = call == "/explain/check"
    fields: dict[str, Any] = {"webhook": receiver.url}
    if is_check:
        fields["instrument"] = ["Violin", "Trumpet"]
    parts = [("stem" if is_check else "file", (f"{at}.wav", wav())) for at in range(2)]
    answer = api.post(call, files=parts, data=fields).json()
    jobs = [answer] if is_check else [entry["job"] for entry in answer["jobs"]]
    for job in jobs:
        store.cancel(job["id"])
    ids = {json.loads(each.body)["data"]["id"] for each in receiver.wait_for(told)}
    assert ids == {job["id"] for job in jobs}


def test_orders_have_webhooks_too(
    start_api: StartApi, store: JobStore, receiver: Receiver, tmp_path: Path
) -> None:
    api = start_api(admin_key="a-key-for-tests", state_dir=tmp_path, **settings_for(receiver))
    api.headers["Authorization"] = "Bearer a-key-for-tests"
    recipe = {"name": "winds", "n_clips": 10, "instruments": ["Trumpet"], "instruments_per_clip": [1]}

    def order(**fields: str) -> httpx.Response:
        return api.post("/datasets", json={"recipe": recipe, **fields})

    elsewhere = "https://example.org/"
    assert assert_problem(order(webhook=elsewhere), 422, "invalid-request")["errors"][0]["field"] == "webhook"
    job_id = order(webhook=receiver.url).json()["id"]
    # The same order again is the same job, unless somebody else is to hear of it.
    assert order().json()["id"] == order(webhook=receiver.url).json()["id"] == job_id
    assert_problem(order(webhook=f"{receiver.url}&other=1"), 409, "place-taken")
    store.cancel(job_id)
    (told,) = receiver.wait_for(1)
    assert json.loads(told.body)["data"]["kind"] == "dataset"


def test_without_hosts_there_are_none(api: httpx.Client) -> None:
    refused = post(api, "/classify", fields={"webhook": "https://hooks.example.org/"})
    assert "sends no webhooks" in assert_problem(refused, 422, "invalid-request")["detail"]
    long = post(api, "/classify", fields={"webhook": "https://hooks.example.org/" + "x" * 2_000})
    assert assert_problem(long, 422, "invalid-request")["errors"][0]["field"] == "webhook"


def test_faults_are_tried_again_with_the_same_message(
    start_courier: StartCourier, store: JobStore, redis: Redis
) -> None:
    replies = (500, Reply(302, {"Location": "http://127.0.0.1:1/"}), Reply(503, {"Retry-After": "0"}), 200)
    with receiving(*replies) as receiver:
        job = ended(store, receiver.url)
        start_courier(receiver)
        told = receiver.wait_for(4)
        state = Webhooks(redis).state
        until(lambda: state(job).status is DeliveryStatus.DELIVERED)  # type: ignore[union-attr]
    assert {each.headers["webhook-id"] for each in told} == {f"msg_{job.id}"}
    assert len({each.body for each in told}) == 1
    for each in told:
        Webhook(SECRET).verify(each.body, dict(each.headers))
    assert len(receiver.told) == 4
    counted = Figures(redis).collect().counters["webhook_deliveries"]
    assert counted == {("failed",): 3, ("delivered",): 1}


def test_a_receiver_that_comes_back_is_told(
    start_courier: StartCourier, store: JobStore, free_port: int, redis: Redis
) -> None:
    away = Receiver()
    away.port = free_port
    job = ended(store, away.url)
    state = Webhooks(redis).state
    start_courier(away)
    until(lambda: state(job).attempts >= 2)  # type: ignore[union-attr]
    assert state(job).last_status is None  # type: ignore[union-attr]
    with receiving(204, port=free_port) as back:
        until(lambda: state(job).status is not DeliveryStatus.WAITING)  # type: ignore[union-attr]
    if state(job).status is DeliveryStatus.DELIVERED:  # type: ignore[union-attr]
        assert len(back.told) == 1


def test_a_receiver_that_never_answers_well_is_given_up(
    start_courier: StartCourier, store: JobStore, redis: Redis
) -> None:
    with receiving(500) as receiver:
        job = ended(store, receiver.url)
        start_courier(receiver)
        state = Webhooks(redis).state
        until(lambda: state(job).status is DeliveryStatus.GIVEN_UP)  # type: ignore[union-attr]
        assert len(receiver.told) == MAX_ATTEMPTS
    assert (state(job).attempts, state(job).last_status) == (MAX_ATTEMPTS, 500)  # type: ignore[union-attr]
    assert not redis.exists(keys.WEBHOOKS)


def test_a_receiver_that_is_gone_is_not_asked_again(
    start_courier: StartCourier, store: JobStore, redis: Redis
) -> None:
    with receiving(410) as receiver:
        job = ended(store, receiver.url)
        start_courier(receiver)
        state = Webhooks(redis).state
        until(lambda: state(job).status is DeliveryStatus.GIVEN_UP)  # type: ignore[union-attr]
        assert len(receiver.told) == 1


def test_an_attempt_that_ended_with_its_process_counts(
    start_courier: StartCourier, store: JobStore, redis: Redis, receiver: Receiver
) -> None:
    job = ended(store, receiver.url)
    redis.hset(keys.webhook(job.id), "attempts", MAX_ATTEMPTS)
    start_courier(receiver)
    state = Webhooks(redis).state
    until(lambda: state(job).status is DeliveryStatus.GIVEN_UP)  # type: ignore[union-attr]
    assert receiver.told == []


def test_what_cannot_be_read_is_left_in_the_end(
    start_courier: StartCourier, store: JobStore, redis: Redis, receiver: Receiver, monkeypatch: Any
) -> None:
    """A record of a later version of the program, say; the courier goes on with the others meanwhile."""
    monkeypatch.setattr(webhooks, "LEASE_S", 0.05)
    monkeypatch.setattr(courier, "STORE_AWAY_S", 0.01)
    job, other = (ended(store, receiver.url) for _ in range(2))
    redis.set(keys.record(job.id), b"not a record", keepttl=True)
    start_courier(receiver)
    state = Webhooks(redis).state
    until(lambda: state(job).status is DeliveryStatus.GIVEN_UP)  # type: ignore[union-attr]
    assert {json.loads(each.body)["data"]["id"] for each in receiver.told} == {other.id}


def test_two_couriers_tell_each_end_once(
    start_api: StartApi, start_courier: StartCourier, store: JobStore, receiver: Receiver
) -> None:
    api = start_api(**settings_for(receiver))
    for _ in range(2):
        start_courier(receiver)
    ids = [post(api, "/classify", fields={"webhook": receiver.url}).json()["id"] for _ in range(20)]
    for job_id in ids:
        store.cancel(job_id)
    told = receiver.wait_for(20)
    time.sleep(0.2)
    assert len(receiver.told) == 20
    assert {json.loads(each.body)["data"]["id"] for each in told} == set(ids)


def test_an_operator_may_change_their_mind(
    start_courier: StartCourier, store: JobStore, redis: Redis, receiver: Receiver
) -> None:
    with receiving() as forbidden:
        job = ended(store, forbidden.url)
        start_courier(receiver)
        state = Webhooks(redis).state
        until(lambda: state(job).status is DeliveryStatus.GIVEN_UP)  # type: ignore[union-attr]
        assert forbidden.told == []


def test_no_line_of_the_log_holds_a_secret(
    start_courier: StartCourier,
    store: JobStore,
    redis: Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving(500, 204) as receiver:
        job = ended(store, f"{receiver.url}&token=s3cr3t")
        start_courier(receiver)
        receiver.wait_for(2)
        state = Webhooks(redis).state
        until(lambda: state(job).status is DeliveryStatus.DELIVERED)  # type: ignore[union-attr]
    told = [record for record in caplog.records if record.name == "service.webhooks.courier"]
    assert [record.levelname for record in told] == ["WARNING", "INFO"]
    everything = "\n".join(str(vars(record)) for record in caplog.records)
    assert "s3cr3t" not in everything
    assert SECRET.removeprefix("whsec_") not in everything


def test_delays_grow_to_about_an_hour_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    rng = random.Random(1)
    for _ in range(100):
        steps = [next_step(Answer(500), attempt, rng) for attempt in range(1, MAX_ATTEMPTS + 1)]
        delays_s = [step.delay_s for step in steps[:-1]]
        assert {step.status for step in steps[:-1]} == {DeliveryStatus.WAITING}
        assert delays_s == sorted(delays_s)
        assert 4.0 <= delays_s[0] <= 6.0
        assert 2_400 <= sum(delays_s) <= 3_700
        assert steps[-1] == Step(DeliveryStatus.GIVEN_UP)
    assert len({next_step(None, 1, rng).delay_s for _ in range(10)}) == 10
    assert next_step(Answer(503, 600.0), 1, rng).delay_s == 600.0
    assert next_step(Answer(503, 1e9), 1, rng).delay_s == 3_600.0
    assert next_step(Answer(429, 0.0), 1, rng).delay_s >= 4.0
    assert next_step(Answer(410), 1, rng) == Step(DeliveryStatus.GIVEN_UP)
    assert next_step(Answer(299), 8, rng) == Step(DeliveryStatus.DELIVERED)
