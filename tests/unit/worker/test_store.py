"""The store against a real Redis: transitions, bounds, races, expiry, and nothing left behind."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import LIFETIMES, new_dataset_job, new_job, new_training_job
from worker import keys
from worker.artifacts import ArtifactStore
from worker.errors import (
    AttemptLostError,
    IllegalTransitionError,
    JobDeletedError,
    JobExpiredError,
    PlaceTakenError,
    QueueFullError,
    UnknownArtifactError,
    UnknownJobError,
)
from worker.filters import JobFilter
from worker.ids import new_job_id
from worker.jobs import ANYONE, OPERATORS, Job, JobKind, JobStatus, QueueName
from worker.problems import Problem
from worker.progress import EpochMetrics, Progress
from worker.questions import ModelRef
from worker.store import JobStore, Lifetimes

EVERYBODY = {ANYONE, OPERATORS}
PROBLEM = Problem("/problems/truncated", "The recording is broken", 422, "It ends early.")


@pytest.fixture
def admit(store: JobStore) -> Callable[[], Job]:
    def admit() -> Job:
        job = new_job()
        store.admit(job, b"recording", max_queued=10)
        return job

    return admit


def test_what_was_admitted_is_found(store: JobStore, admit: Callable[[], Job]) -> None:
    job = admit()
    assert store.get(job.id) == job
    assert store.uploads(job.id) == (b"recording",)
    assert store.queue_position(job) == 1
    assert store.queue_depth(QueueName.INTERACTIVE) == 1


def test_recordings_are_there_for_every_attempt_and_go_with_the_end(store: JobStore, redis: Redis) -> None:
    job = new_job(JobKind.CHECK)
    store.admit(job, b"violin", b"", b"trumpet", max_queued=10)
    for attempt in ("first", "second"):
        store.begin(job.id, attempt, max_attempts=3)
        assert store.uploads(job.id) == (b"violin", b"", b"trumpet")
    assert 0 < redis.pttl(keys.uploads(job.id)) <= LIFETIMES.unfinished_ttl_s * 1000
    store.succeed(job.id, "second", {})
    assert not redis.exists(keys.uploads(job.id))


@pytest.mark.parametrize("job_id", ["", "nonsense", "*", "../x", new_job_id()])
def test_unknown_jobs(store: JobStore, job_id: str) -> None:
    with pytest.raises(UnknownJobError):
        store.get(job_id)


def test_positions_move_up(store: JobStore, admit: Callable[[], Job]) -> None:
    first, second, third = admit(), admit(), admit()
    assert [store.queue_position(job) for job in (first, second, third)] == [1, 2, 3]
    store.begin(first.id, "mine", max_attempts=3)
    store.cancel(second.id)
    assert store.queue_position(store.get(first.id)) is None
    assert store.queue_position(store.get(third.id)) == 1


def test_the_queue_is_bounded_whoever_submits(store: JobStore) -> None:
    def submit(_: int) -> bool:
        try:
            store.admit(new_job(), b"x", max_queued=10)
        except QueueFullError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        accepted = sum(pool.map(submit, range(60)))
    assert accepted == 10
    assert store.queue_depth(QueueName.INTERACTIVE) == 10
    assert len(store.page(100, audiences=EVERYBODY).jobs) == 10


def test_one_life(store: JobStore, admit: Callable[[], Job]) -> None:
    job = admit()
    store.begin(job.id, "mine", max_attempts=3)
    store.advance(job.id, "mine", Progress("classifying", 1, 2))
    store.use_model(job.id, "mine", ModelRef("default", "22" * 32))
    ended = store.succeed(job.id, "mine", {"instruments": []})
    assert store.get(job.id) == ended
    assert ended.model == ModelRef("default", "22" * 32)
    assert ended.finished_at is not None
    assert ended.expires_at is not None
    assert (ended.expires_at - ended.finished_at).total_seconds() == LIFETIMES.result_ttl_s
    assert store.outcomes() == {("explain", "succeeded"): 1}
    with pytest.raises(UnknownJobError):
        store.uploads(new_job_id())


def test_exactly_one_of_many_ends_wins(store: JobStore, admit: Callable[[], Job]) -> None:
    job = admit()
    store.begin(job.id, "mine", max_attempts=3)
    barrier = threading.Barrier(12)

    def end(number: int) -> bool:
        barrier.wait()
        try:
            if number % 3 == 0:
                store.succeed(job.id, "mine", {"by": number})
            elif number % 3 == 1:
                store.fail(job.id, "mine", PROBLEM)
            else:
                store.cancel(job.id)
        except (AttemptLostError, IllegalTransitionError):
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(end, range(12))) == 1
    assert sum(store.outcomes().values()) == 1


def test_exactly_one_of_many_attempts_owns_the_job(store: JobStore, admit: Callable[[], Job]) -> None:
    job = admit()
    tokens = [str(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda token: store.begin(job.id, token, max_attempts=100), tokens))

    def advance(token: str) -> bool:
        try:
            store.advance(job.id, token, Progress("x", 0, 1))
        except AttemptLostError:
            return False
        return True

    assert sum(advance(token) for token in tokens) == 1
    assert store.get(job.id).attempts == 8


def test_after_the_last_attempt_the_job_fails(store: JobStore, admit: Callable[[], Job]) -> None:
    job = admit()
    for token in ("one", "two", "three"):
        assert store.begin(job.id, token, max_attempts=3).status is JobStatus.RUNNING
    ended = store.begin(job.id, "four", max_attempts=3)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error.type == "/problems/worker-lost"
    with pytest.raises(IllegalTransitionError):
        store.begin(job.id, "five", max_attempts=3)


def test_pages(store: JobStore, admit: Callable[[], Job]) -> None:
    made = [admit().id for _ in range(7)]
    made.sort(reverse=True)
    first = store.page(3, audiences=EVERYBODY)
    second = store.page(3, first.next_before, audiences=EVERYBODY)
    third = store.page(3, second.next_before, audiences=EVERYBODY)
    assert [job.id for page in (first, second, third) for job in page.jobs] == made
    assert third.next_before is None
    assert store.page(7, audiences=EVERYBODY).next_before is None
    assert store.page(3, new_job_id(), audiences=EVERYBODY).jobs[0].id == made[0]


def test_deleting_leaves_only_a_tombstone(store: JobStore, redis: Redis, admit: Callable[[], Job]) -> None:
    job = admit()
    store.begin(job.id, "mine", max_attempts=3)
    ArtifactStore(redis).put(job.id, "mine", "audio.wav", "audio/wav", b"sound")
    store.succeed(job.id, "mine", {})
    store.delete(job.id)
    with pytest.raises(JobDeletedError):
        store.get(job.id)
    with pytest.raises(JobDeletedError):
        store.delete(job.id)
    assert sorted(redis.keys("*")) == [f"ts:gone:{job.id}".encode(), b"ts:metrics", b"ts:outcomes"]
    assert store.page(10, audiences=EVERYBODY).jobs == ()


def test_a_withdrawn_job_was_never_there(store: JobStore, redis: Redis, admit: Callable[[], Job]) -> None:
    job = admit()
    store.withdraw(job)
    assert redis.keys("*") == []


def test_everything_expires_together(redis: Redis) -> None:
    store = JobStore(redis, Lifetimes(result_ttl_s=0.4, tombstone_ttl_s=0.6, unfinished_ttl_s=60.0))
    job, unwanted = new_job(), new_job()
    for each in (job, unwanted):
        store.admit(each, b"recording", max_queued=10)
    store.begin(job.id, "mine", max_attempts=3)
    ArtifactStore(redis).put(job.id, "mine", "audio.wav", "audio/wav", b"sound")
    store.succeed(job.id, "mine", {})
    store.cancel(unwanted.id)
    assert {each.id for each in store.page(10, audiences=EVERYBODY).jobs} == {job.id, unwanted.id}
    time.sleep(0.5)
    for each in (job, unwanted):
        with pytest.raises(JobExpiredError):
            store.get(each.id)
    assert store.page(10, audiences=EVERYBODY).jobs == ()
    time.sleep(0.6)
    with pytest.raises(UnknownJobError):
        store.get(job.id)
    assert sorted(redis.keys("*")) == [b"ts:metrics", b"ts:outcomes"]


def test_a_job_that_never_ends_goes_too(redis: Redis) -> None:
    store = JobStore(redis, Lifetimes(result_ttl_s=60.0, tombstone_ttl_s=60.0, unfinished_ttl_s=0.3))
    store.admit(new_job(), b"recording", max_queued=10)
    time.sleep(0.4)
    assert store.page(10, audiences=EVERYBODY).jobs == ()
    assert store.queue_depth(QueueName.INTERACTIVE) == 0
    assert redis.keys("*") == []


class TestArtifacts:
    @pytest.fixture
    def artifacts(self, redis: Redis) -> ArtifactStore:
        return ArtifactStore(redis)

    def test_what_was_put_is_found(
        self, store: JobStore, artifacts: ArtifactStore, admit: Callable[[], Job]
    ) -> None:
        job = admit()
        store.begin(job.id, "mine", max_attempts=3)
        info = artifacts.put(job.id, "mine", "map.npz", "application/x-npz", b"\x00\xff")
        assert artifacts.info(job.id, "map.npz") == info
        assert artifacts.data(job.id, "map.npz") == b"\x00\xff"
        assert info.size_bytes == 2
        assert info.sha256 == "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"

    @pytest.mark.parametrize("name", ["other.png", "", "../map.npz", "map.npz/", "MAP.NPZ"])
    def test_a_name_is_looked_up_and_nothing_else(
        self, store: JobStore, artifacts: ArtifactStore, admit: Callable[[], Job], name: str
    ) -> None:
        job = admit()
        store.begin(job.id, "mine", max_attempts=3)
        artifacts.put(job.id, "mine", "map.npz", "application/x-npz", b"x")
        with pytest.raises(UnknownArtifactError):
            artifacts.info(job.id, name)
        with pytest.raises(UnknownArtifactError):
            artifacts.data(job.id, name)

    def test_a_lost_attempt_writes_nothing(
        self, store: JobStore, redis: Redis, artifacts: ArtifactStore, admit: Callable[[], Job]
    ) -> None:
        job = admit()
        store.begin(job.id, "mine", max_attempts=3)
        store.cancel(job.id)
        with pytest.raises(AttemptLostError):
            artifacts.put(job.id, "mine", "map.npz", "application/x-npz", b"x")
        store.delete(job.id)
        with pytest.raises(AttemptLostError):
            artifacts.put(job.id, "mine", "map.npz", "application/x-npz", b"x")
        assert redis.keys("*artifact*") == []

    @pytest.mark.parametrize("end", ["fail", "cancel"])
    def test_a_job_that_did_not_succeed_keeps_none(
        self, store: JobStore, redis: Redis, artifacts: ArtifactStore, admit: Callable[[], Job], end: str
    ) -> None:
        job = admit()
        store.begin(job.id, "mine", max_attempts=3)
        artifacts.put(job.id, "mine", "map.npz", "application/x-npz", b"x")
        if end == "fail":
            store.fail(job.id, "mine", PROBLEM)
        else:
            store.cancel(job.id)
        assert redis.keys("*artifact*") == []
        assert redis.keys("*upload*") == []


def test_one_unfinished_job_at_a_time_writes_to_a_place(store: JobStore) -> None:
    first, second = new_dataset_job(), new_dataset_job()
    store.admit(first, max_queued=10)
    with pytest.raises(PlaceTakenError) as taken:
        store.admit(second, max_queued=10)
    assert taken.value.extra == {"job": first.id}
    store.admit(new_dataset_job("/data/sets/other"), max_queued=10)
    store.begin(first.id, "mine", max_attempts=3)
    store.fail(first.id, "mine", PROBLEM)
    store.admit(second, max_queued=10)
    store.withdraw(second)
    store.admit(new_dataset_job(), max_queued=10)


def test_a_place_outlives_no_job(redis: Redis) -> None:
    store = JobStore(redis, Lifetimes(result_ttl_s=60.0, tombstone_ttl_s=60.0, unfinished_ttl_s=0.3))
    store.admit(new_dataset_job(), max_queued=10)
    time.sleep(0.4)
    store.admit(new_dataset_job(), max_queued=10)
    time.sleep(0.4)
    store.sweep()
    assert redis.keys("*") == []


def test_pages_hold_what_their_audiences_may_see(store: JobStore) -> None:
    open_jobs, own = [], []
    for number in range(3):
        open_jobs.append(new_job())
        own.append(replace(new_job(), owner="k1"))
        for job in (open_jobs[-1], own[-1], replace(new_job(), owner="k2")):
            store.admit(job, b"recording", max_queued=100)
        store.admit(new_dataset_job(f"/data/sets/{number}"), max_queued=100)
    page = store.page(4, audiences={ANYONE, "key:k1"})
    assert [job.id for job in page.jobs] == [own[2].id, open_jobs[2].id, own[1].id, open_jobs[1].id]
    rest = store.page(4, page.next_before, audiences={ANYONE, "key:k1"})
    assert ([job.id for job in rest.jobs], rest.next_before) == ([own[0].id, open_jobs[0].id], None)
    assert {job.kind for job in store.page(100, audiences={OPERATORS}).jobs} == {JobKind.DATASET}
    assert store.page(100, audiences={"key:nobody"}).jobs == ()


def test_pages_hold_what_is_wanted(store: JobStore) -> None:
    made = [new_job(JobKind.CLASSIFY if number % 3 else JobKind.EXPLAIN) for number in range(30)]
    for job in made:
        store.admit(job, b"recording", max_queued=100)
    store.cancel(made[0].id)
    explains = JobFilter(kinds={JobKind.EXPLAIN}, statuses={JobStatus.QUEUED})
    found: list[str] = []
    before = None
    while True:
        page = store.page(4, before, audiences={ANYONE}, wanted=explains)
        found += [job.id for job in page.jobs]
        before = page.next_before
        if before is None:
            break
    assert found == [job.id for job in reversed(made) if job.kind is JobKind.EXPLAIN][:-1]
    early = JobFilter(created_before=made[2].created_at)
    assert [job.id for job in store.page(9, audiences={ANYONE}, wanted=early).jobs] == [
        made[1].id,
        made[0].id,
    ]
    late = JobFilter(created_after=made[28].created_at, models={"default"})
    assert [job.id for job in store.page(9, audiences={ANYONE}, wanted=late).jobs] == [made[29].id]
    assert store.page(9, audiences={ANYONE}, wanted=JobFilter(models={"other"})).jobs == ()


def test_jobs_of_a_version_without_audiences_are_listed(store: JobStore, redis: Redis) -> None:
    old, new = new_job(), new_job()
    store.admit(old, b"recording", max_queued=10)
    redis.delete(keys.AUDIENCES, keys.jobs_of(ANYONE))
    store.admit(new, b"recording", max_queued=10)
    store.adopt()
    assert [job.id for job in store.page(9, audiences={ANYONE}).jobs] == [new.id, old.id]
    store.delete(store.cancel(old.id).id)
    store.delete(store.cancel(new.id).id)
    assert redis.exists(keys.AUDIENCES, keys.jobs_of(ANYONE)) == 0


def test_a_training_that_stops_early_keeps_its_files(store: JobStore, redis: Redis) -> None:
    job = new_training_job()
    store.admit(job, max_queued=10)
    store.begin(job.id, "mine", max_attempts=3)
    store.advance(job.id, "mine", Progress("training", 1, 5, metrics=EpochMetrics(1, 5, 0.5, 0.4, 0.7)))
    assert store.cancel(job.id).status is JobStatus.RUNNING
    artifacts = ArtifactStore(redis)
    artifacts.put(job.id, "mine", "curves.png", "image/png", b"curves")
    ended = store.stop_early(job.id, "mine", {"trained": {}})
    assert ended.status is JobStatus.CANCELLED
    assert artifacts.data(job.id, "curves.png") == b"curves"
