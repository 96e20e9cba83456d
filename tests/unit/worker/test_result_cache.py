"""Earlier answers: found by their question, copied whole, gone with their jobs."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import new_job
from worker import keys
from worker.artifacts import ArtifactStore
from worker.connection import UNAVAILABLE
from worker.errors import StoreUnavailableError, UnknownJobError
from worker.feed import Feed
from worker.jobs import ANYONE, Job, JobStatus, artifact_path
from worker.questions import ModelRef
from worker.result_cache import MOST_COPIES, ResultCache
from worker.room import RESERVED_SHARE
from worker.store import JobStore
from worker.webhooks import Webhooks

SOUND = bytes(range(256)) * 400


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
def cache(redis: Redis) -> ResultCache:
    return ResultCache(redis)


def asking(owner: str = "", fingerprint: str = "why") -> Job:
    return replace(new_job(), owner=owner, fingerprint=fingerprint)


def answered(store: JobStore, redis: Redis, job: Job) -> Job:
    """The job, ended with a file and a result that links to it."""
    store.admit(job, b"sound", max_queued=100)
    store.begin(job.id, "mine", max_attempts=3)
    ArtifactStore(redis).put(job.id, "mine", "audio.wav", "audio/wav", SOUND)
    wav = artifact_path(job.id, "audio.wav")
    result: dict[str, object] = {
        "audio": {"wav": wav},
        "maps": [{"png": wav}, "/models/default", None, 0.25],
        "note": job.path,
    }
    return store.succeed(job.id, "mine", result)


def test_an_answer_is_found_by_its_question_and_owner(
    store: JobStore, redis: Redis, cache: ResultCache
) -> None:
    job = asking("7d1f")
    assert cache.find("7d1f", "why") is None
    ended = answered(store, redis, job)
    assert cache.find("7d1f", "why") == ended
    assert cache.find("7d1f", "why else") is None
    assert cache.find("another", "why") is None
    assert cache.find("", "why") is None


def test_only_success_answers(store: JobStore, redis: Redis, cache: ResultCache) -> None:
    job = asking()
    store.admit(job, b"sound", max_queued=10)
    store.cancel(job.id)
    assert cache.find("", "why") is None
    answered(store, redis, asking(fingerprint=""))
    assert not redis.keys("ts:cached:*")


def test_other_weights_answer_another_question(store: JobStore, redis: Redis, cache: ResultCache) -> None:
    job = asking()
    store.admit(job, b"sound", max_queued=10)
    store.begin(job.id, "mine", max_attempts=3)
    store.use_model(job.id, "mine", ModelRef("default", "22" * 32))
    store.succeed(job.id, "mine", {})
    assert cache.find("", "why") is None


def test_a_repeated_job_has_its_own_of_everything(store: JobStore, redis: Redis, cache: ResultCache) -> None:
    earlier = answered(store, redis, asking())
    job = asking()
    repeated = store.repeat(job, earlier)
    assert repeated is not None
    assert repeated == store.get(job.id)
    assert (repeated.status, repeated.cached, repeated.attempts) == (JobStatus.SUCCEEDED, True, 0)
    assert repeated.created_at <= repeated.finished_at <= repeated.expires_at  # type: ignore[operator]
    wav = artifact_path(job.id, "audio.wav")
    assert repeated.result == {
        "audio": {"wav": wav},
        "maps": [{"png": wav}, "/models/default", None, 0.25],
        "note": earlier.path,  # no link to anything of the job's
    }
    store.delete(earlier.id)
    files = ArtifactStore(redis)
    assert files.data(job.id, "audio.wav") == SOUND
    assert files.info(job.id, "audio.wav").size_bytes == len(SOUND)
    assert store.outcomes() == {("explain", "succeeded"): 2}
    assert [listed.id for listed in store.page(9, audiences={ANYONE}).jobs] == [job.id]
    assert store.queue_depth(job.queue) == 0
    assert not redis.zscore(keys.LEASES, job.id)
    for key in (keys.record, keys.events, keys.artifacts, keys.artifact_info):
        assert 0 < redis.pttl(key(job.id)) <= 60_000
    assert cache.find("", "why") == repeated
    store.delete(job.id)
    assert not [key for key in redis.keys("*") if job.id.encode() in key and b"gone" not in key]
    assert cache.find("", "why") is None


def test_deleting_leaves_a_later_answer(store: JobStore, redis: Redis, cache: ResultCache) -> None:
    first = answered(store, redis, asking())
    second = answered(store, redis, asking())
    store.delete(first.id)
    assert cache.find("", "why") == second
    store.delete(second.id)
    assert not redis.keys("ts:cached:*")


def test_the_entry_expires_with_its_job(store: JobStore, redis: Redis) -> None:
    job = answered(store, redis, asking())
    left_ms = redis.pttl(keys.cached("", "why"))
    assert abs(left_ms - redis.pttl(keys.record(job.id))) < 1_000


def test_what_has_gone_cannot_be_repeated(store: JobStore, redis: Redis) -> None:
    earlier = answered(store, redis, asking())
    store.delete(earlier.id)
    before = sorted(redis.keys("*"))
    job = asking()
    assert store.repeat(job, earlier) is None
    assert sorted(redis.keys("*")) == before
    with pytest.raises(UnknownJobError):
        store.get(job.id)


def test_an_answer_is_copied_so_often_only(store: JobStore, redis: Redis, cache: ResultCache) -> None:
    answered(store, redis, asking())
    n_copies = 0
    while (earlier := cache.find("", "why")) is not None:
        store.repeat(asking(), earlier)
        n_copies += 1
    assert n_copies == MOST_COPIES
    assert cache.find("", "why") is None
    answered(store, redis, asking())
    assert cache.find("", "why") is not None


def test_of_many_at_once_no_two_are_the_same_copy(store: JobStore, redis: Redis, cache: ResultCache) -> None:
    earlier = answered(store, redis, asking())
    barrier, copies = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        copies.append(store.repeat(asking(), earlier))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (copy,) = (each for each in copies if each is not None)
    assert len(copies) == 8
    assert copy.generation == 1
    assert cache.find("", "why") == copy


def test_there_has_to_be_room_for_the_copy(store: JobStore, redis: Redis) -> None:
    earlier = answered(store, redis, asking())
    used_bytes = redis.info("memory")["used_memory"]
    redis.config_set("maxmemory", round((used_bytes + len(SOUND) // 2) / (1.0 - RESERVED_SHARE)))
    with pytest.raises(StoreUnavailableError, match="full"):
        store.repeat(asking(), earlier)
    redis.config_set("maxmemory", round((used_bytes + 4 * len(SOUND)) / (1.0 - RESERVED_SHARE)))
    assert store.repeat(asking(), earlier) is not None


def test_its_webhook_waits_to_be_told(store: JobStore, redis: Redis) -> None:
    earlier = answered(store, redis, asking())
    job = replace(asking(), callback="https://hooks.example.org/")
    store.repeat(job, earlier)
    due = Webhooks(redis).take()
    assert due is not None
    assert due.job_id == job.id


def test_a_full_redis_leaves_nothing_behind(
    store: JobStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = answered(store, redis, asking())
    before = sorted(redis.keys("*"))
    redis.config_set("maxmemory", 1)
    job = asking()
    with pytest.raises(StoreUnavailableError):
        store.repeat(job, earlier)
    monkeypatch.setattr("worker.store.require_room", lambda *_: None)  # as if it had just become full
    with pytest.raises(UNAVAILABLE):
        store.repeat(job, earlier)
    redis.config_set("maxmemory", 0)
    assert sorted(redis.keys("*")) == before
    assert store.repeat(job, earlier) is not None


def test_its_stream_has_an_end(store: JobStore, redis: Redis, redis_url: str) -> None:
    earlier = answered(store, redis, asking())
    job = asking()
    store.repeat(job, earlier)

    async def follow() -> list[JobStatus]:
        feed = Feed(redis_url)
        try:
            assert await feed.ended(job.id, 5.0)
            return [event.status async for event in feed.follow(job.id, job.queue)]
        finally:
            await feed.close()

    assert asyncio.run(follow()) == [JobStatus.SUCCEEDED]
