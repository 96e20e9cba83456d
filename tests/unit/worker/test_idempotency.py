"""Marks of idempotency keys: taken by one request, kept by one job, free when it is gone."""

import threading

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import new_dataset_job, new_job
from worker import keys
from worker.errors import (
    IdempotencyInFlightError,
    IdempotencyKeyReusedError,
    PlaceTakenError,
    QueueFullError,
)
from worker.idempotency import DECIDING_S, Mark, Marks
from worker.ids import new_job_id
from worker.jobs import Job
from worker.store import JobStore, Lifetimes

OWNER = "7d1f"


@pytest.fixture
def marks(redis: Redis) -> Marks:
    return Marks(redis)


def marked_job(mark: Mark) -> Job:
    job = new_job()
    return Job(**{**vars(job), "owner": OWNER, "mark": mark.name})


def admitted(store: JobStore, mark: Mark) -> Job:
    job = marked_job(mark)
    store.admit(job, b"sound", max_queued=10, mark=mark)
    return job


def test_an_admitted_job_answers_the_next_request(store: JobStore, marks: Marks) -> None:
    mark = Mark("name", "body")
    assert marks.take(OWNER, mark) is None
    job = admitted(store, mark)
    assert marks.take(OWNER, Mark("name", "body")) == job.id
    with pytest.raises(IdempotencyKeyReusedError):
        marks.take(OWNER, Mark("name", "other body"))
    assert marks.take("somebody-else", Mark("name", "other body")) is None


def test_while_it_is_being_decided(store: JobStore, marks: Marks) -> None:
    first = Mark("name", "body")
    marks.take(OWNER, first)
    with pytest.raises(IdempotencyInFlightError):
        marks.take(OWNER, Mark("name", "body"))
    with pytest.raises(IdempotencyKeyReusedError):
        marks.take(OWNER, Mark("name", "other body"))
    assert marks.take(OWNER, first) is None  # the same request, whose answer got lost


def test_a_refused_request_frees_its_key(store: JobStore, marks: Marks) -> None:
    mark = Mark("name", "body")
    marks.take(OWNER, mark)
    with pytest.raises(QueueFullError):
        store.admit(marked_job(mark), b"sound", max_queued=0, mark=mark)
    marks.free(OWNER, mark)
    assert marks.take(OWNER, Mark("name", "other body")) is None


def test_freeing_never_takes_a_mark_from_a_job_or_another_request(store: JobStore, marks: Marks) -> None:
    mark = Mark("name", "body")
    marks.take(OWNER, mark)
    marks.free(OWNER, Mark("name", "body"))
    job = admitted(store, mark)
    marks.free(OWNER, mark)
    assert marks.take(OWNER, Mark("name", "body")) == job.id


def test_whoever_lost_the_mark_is_not_admitted(store: JobStore, marks: Marks, redis: Redis) -> None:
    slow, quick = Mark("name", "body"), Mark("name", "body")
    marks.take(OWNER, slow)
    key = keys.idempotency(OWNER, "name")
    assert 0 < redis.pttl(key) <= DECIDING_S * 1000
    redis.delete(key)  # as if that time were over
    marks.take(OWNER, quick)
    job = admitted(store, quick)
    with pytest.raises(IdempotencyInFlightError):
        store.admit(marked_job(slow), b"sound", max_queued=10, mark=slow)
    assert store.queue_depth(job.queue) == 1
    with pytest.raises(IdempotencyInFlightError):
        store.repeat(marked_job(slow), job, mark=slow)
    assert marks.take(OWNER, Mark("name", "body")) == job.id


def test_an_admission_that_is_asked_twice_admits_once(store: JobStore, marks: Marks) -> None:
    mark = Mark("name", "body")
    marks.take(OWNER, mark)
    job = marked_job(mark)
    for _ in range(2):
        store.admit(job, b"sound", max_queued=1, mark=mark)
    assert store.uploads(job.id) == (b"sound",)
    assert marks.take(OWNER, Mark("name", "body")) == job.id


@pytest.mark.parametrize("end", ["delete", "withdraw"])
def test_the_key_goes_with_the_job(store: JobStore, marks: Marks, redis: Redis, end: str) -> None:
    mark = Mark("name", "body")
    marks.take(OWNER, mark)
    job = admitted(store, mark)
    if end == "delete":
        store.cancel(job.id)
        store.delete(job.id)
    else:
        store.withdraw(job)
    assert not redis.exists(keys.idempotency(OWNER, "name"))
    assert marks.take(OWNER, Mark("name", "other body")) is None


def test_the_key_expires_with_the_job(redis: Redis, marks: Marks) -> None:
    store = JobStore(redis, Lifetimes(result_ttl_s=30.0, tombstone_ttl_s=60.0, unfinished_ttl_s=600.0))
    mark = Mark("name", "body")
    marks.take(OWNER, mark)
    job = admitted(store, mark)
    assert redis.pttl(keys.idempotency(OWNER, "name")) > 500_000
    store.cancel(job.id)
    left_ms = redis.pttl(keys.idempotency(OWNER, "name"))
    assert abs(left_ms - redis.pttl(keys.record(job.id))) < 1_000
    redis.delete(keys.record(job.id))
    assert marks.take(OWNER, Mark("name", "other body")) is None


def test_another_requests_job_can_be_the_answer(store: JobStore, marks: Marks, redis: Redis) -> None:
    first = new_dataset_job()
    store.admit(first, max_queued=10)
    mark = Mark("name", "body")
    marks.take(OWNER, mark)
    second = Job(**{**vars(new_dataset_job()), "owner": OWNER, "mark": mark.name})
    with pytest.raises(PlaceTakenError):
        store.admit(second, max_queued=10, mark=mark)
    marks.keep(OWNER, mark, first)
    assert marks.take(OWNER, Mark("name", "body")) == first.id
    left_ms = redis.pttl(keys.idempotency(OWNER, "name"))
    assert abs(left_ms - redis.pttl(keys.record(first.id))) < 1_000


def test_a_job_that_is_gone_cannot_be_the_answer(marks: Marks, redis: Redis) -> None:
    mark = Mark("name", "body")
    marks.take(OWNER, mark)
    gone = Job(**{**vars(new_job()), "id": new_job_id()})
    marks.keep(OWNER, mark, gone)
    assert not redis.exists(keys.idempotency(OWNER, "name"))


def test_of_many_at_once_one_takes_it(marks: Marks) -> None:
    taken, refused = [], []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        mark = Mark("name", "body")
        try:
            marks.take(OWNER, mark)
            taken.append(mark)
        except IdempotencyInFlightError:
            refused.append(mark)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 7)
