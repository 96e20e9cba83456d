"""Deliveries: there exactly when the end is, taken by one at a time, gone with their job."""

import time
from dataclasses import replace

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import new_job
from worker import keys, webhooks
from worker.errors import InternalError
from worker.jobs import Job
from worker.problems import problem_of
from worker.progress import Progress
from worker.store import JobStore, Lifetimes
from worker.webhooks import Delivery, DeliveryStatus, DueDelivery, Webhooks

URL = "https://hooks.example.org/ended"


@pytest.fixture
def deliveries(redis: Redis) -> Webhooks:
    return Webhooks(redis)


def admitted(store: JobStore, callback: str | None = URL) -> Job:
    job = replace(new_job(), callback=callback, fingerprint="why")
    store.admit(job, b"sound", max_queued=10)
    return job


def ended(store: JobStore, how: str = "succeeded") -> Job:
    job = admitted(store)
    if how == "cancelled":
        return store.cancel(job.id)
    store.begin(job.id, "token", max_attempts=3)
    if how == "failed":
        return store.fail(job.id, "token", problem_of(InternalError("x")))
    return store.succeed(job.id, "token", {"instruments": []})


def taken(deliveries: Webhooks) -> DueDelivery:
    due = deliveries.take()
    assert due is not None
    return due


@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled"])
def test_every_end_is_told(store: JobStore, deliveries: Webhooks, how: str) -> None:
    job = ended(store, how)
    due = taken(deliveries)
    assert (due.job_id, due.attempt) == (job.id, 1)
    assert deliveries.state(job) == Delivery(DeliveryStatus.WAITING, attempts=1)


def test_nothing_is_told_before_the_end_or_where_nobody_listens(
    store: JobStore, redis: Redis, deliveries: Webhooks
) -> None:
    job = admitted(store)
    store.begin(job.id, "token", max_attempts=3)
    store.advance(job.id, "token", Progress("decoding", 0, 1))
    assert deliveries.take() is None
    assert deliveries.state(job) == Delivery(DeliveryStatus.WAITING)
    deaf = admitted(store, callback=None)
    store.cancel(deaf.id)
    assert deliveries.take() is None
    assert deliveries.state(deaf) is None
    assert not redis.exists(keys.webhook(deaf.id), keys.WEBHOOKS)


def test_a_repeated_answer_is_told_like_any_other(store: JobStore, deliveries: Webhooks) -> None:
    earlier = store.get(ended(store).id)
    taken(deliveries)
    job = replace(new_job(), callback=URL)
    assert store.repeat(job, earlier) is not None
    assert taken(deliveries).job_id == job.id


def test_what_was_taken_is_nobody_elses_until_the_lease_lapses(
    store: JobStore, deliveries: Webhooks, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(store)
    monkeypatch.setattr(webhooks, "LEASE_S", 0.05)
    first = taken(deliveries)
    assert deliveries.take() is None
    time.sleep(0.06)
    second = taken(Webhooks(redis))
    assert (second.job_id, second.attempt) == (job.id, 2)
    assert not deliveries.settle(first, DeliveryStatus.GIVEN_UP, last_status=500)
    assert not deliveries.settle(first, DeliveryStatus.WAITING, last_status=500)
    assert deliveries.state(job) == Delivery(DeliveryStatus.WAITING, attempts=2)
    # That it was told is true whoever did it, and then nothing else is.
    assert deliveries.settle(first, DeliveryStatus.DELIVERED, last_status=204)
    assert not deliveries.settle(second, DeliveryStatus.GIVEN_UP, last_status=None)
    assert deliveries.state(job) == Delivery(DeliveryStatus.DELIVERED, attempts=2, last_status=204)
    assert not redis.exists(keys.WEBHOOKS)


def test_one_that_waits_on_is_due_again_after_its_delay(store: JobStore, deliveries: Webhooks) -> None:
    job = ended(store)
    assert deliveries.settle(taken(deliveries), DeliveryStatus.WAITING, last_status=503, delay_s=0.05)
    assert deliveries.take() is None
    assert deliveries.state(job) == Delivery(DeliveryStatus.WAITING, attempts=1, last_status=503)
    time.sleep(0.06)
    assert taken(deliveries).attempt == 2


def test_a_deleted_job_is_not_told(store: JobStore, redis: Redis, deliveries: Webhooks) -> None:
    job = ended(store)
    due = taken(deliveries)
    store.delete(job.id)
    assert not redis.exists(keys.webhook(job.id), keys.WEBHOOKS)
    assert not deliveries.settle(due, DeliveryStatus.WAITING, last_status=500, delay_s=1.0)
    assert not redis.exists(keys.webhook(job.id), keys.WEBHOOKS)


def test_an_expired_job_leaves_no_delivery(redis: Redis, deliveries: Webhooks) -> None:
    store = JobStore(redis, Lifetimes(0.05, 60.0, 60.0))
    job = ended(store)
    assert 0 < redis.pttl(keys.webhook(job.id)) <= 50
    time.sleep(0.06)
    assert deliveries.take() is None
    assert not redis.exists(keys.webhook(job.id), keys.WEBHOOKS)
    other = ended(store)
    time.sleep(0.06)
    assert redis.zscore(keys.WEBHOOKS, other.id) is not None
    store.sweep()
    assert not redis.exists(keys.WEBHOOKS)


def test_the_first_to_end_is_told_first(store: JobStore, deliveries: Webhooks) -> None:
    told = [ended(store).id for _ in range(3)]
    assert [taken(deliveries).job_id for _ in range(3)] == told
