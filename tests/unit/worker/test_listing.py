"""Lists of jobs: bounded work for rare ones, times as ids, and what an earlier version left."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import new_job
from worker import jobs, keys, listing
from worker.errors import JobDeletedError, JobExpiredError, UnknownJobError
from worker.filters import JobFilter
from worker.ids import first_id_at, new_job_id
from worker.jobs import ANYONE, Job, JobKind, audience_of
from worker.store import JobStore, Lifetimes
from worker.tombstones import Fate, absence, tombstone_text

ALICE, BOB = audience_of("alice"), audience_of("bob")


@pytest.fixture
def store(redis: Redis) -> JobStore:
    return JobStore(redis, Lifetimes(60.0, 60.0, unfinished_ttl_s=7 * 86_400.0))


@pytest.fixture
def admit(store: JobStore) -> Callable[..., Job]:
    def admit(kind: JobKind = JobKind.CLASSIFY, **fields: Any) -> Job:
        job = replace(new_job(kind), **fields)
        store.admit(job, b"recording", max_queued=1000)
        return job

    return admit


def test_a_page_reads_a_bounded_number_of_records_however_rare_the_wanted_are(
    store: JobStore, admit: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LONGEST_SCAN", 20)
    monkeypatch.setattr(listing, "_FILTERED_BATCH", 10)
    rare = admit(JobKind.EXPLAIN)
    for _ in range(50):
        admit()
    read: list[bytes] = []
    parse = jobs.from_record

    def counting(record: bytes) -> Job:
        read.append(record)
        return parse(record)

    monkeypatch.setattr(jobs, "from_record", counting)
    wanted = JobFilter(kinds={JobKind.EXPLAIN})
    found, n_pages, before = [], 0, None
    while True:
        read.clear()
        page = store.page(5, before, audiences={ANYONE}, wanted=wanted)
        assert len(read) <= 20
        found += [job.id for job in page.jobs]
        n_pages, before = n_pages + 1, page.next_before
        if before is None:
            break
    assert found == [rare.id]
    assert n_pages == 3


def test_times_narrow_which_records_are_read(
    store: JobStore, admit: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    for hours in range(48):
        moment = now - timedelta(hours=48 - hours)
        head = first_id_at(int(moment.timestamp() * 1000))[:14]
        admit(id=f"{head}{new_job_id()[14:]}", created_at=moment + timedelta(milliseconds=1))
    read: list[bytes] = []
    parse = jobs.from_record

    def counting(record: bytes) -> Job:
        read.append(record)
        return parse(record)

    monkeypatch.setattr(jobs, "from_record", counting)
    wanted = JobFilter(created_after=now - timedelta(hours=30.5), created_before=now - timedelta(hours=20.5))
    assert len(store.page(100, audiences={ANYONE}, wanted=wanted).jobs) == 10
    assert len(read) <= 11


def test_ids_are_ordered_with_the_times_that_they_stand_for() -> None:
    before = int(datetime.now(UTC).timestamp() * 1000)
    made = new_job_id()
    after = int(datetime.now(UTC).timestamp() * 1000) + 1
    assert first_id_at(before) <= made < first_id_at(after)
    assert first_id_at(-5) == first_id_at(0) == "00000000-0000-0000-0000-000000000000"
    assert first_id_at(1 << 60) == "ffffffff-ffff-0000-0000-000000000000"


def test_looking_at_what_is_anothers_is_the_same_work_as_at_what_never_was(
    store: JobStore, admit: Callable[..., Job], redis: Redis, redis_url: str
) -> None:
    ended = admit(owner="alice")
    store.begin(ended.id, "mine", max_attempts=3)
    store.succeed(ended.id, "mine", {"much": "x" * 100_000})
    waiting = admit(owner="alice")

    def commands_of(job_id: str) -> list[str]:
        with Redis.from_url(redis_url) as other, other.monitor() as monitor:
            with pytest.raises(UnknownJobError):
                store.get(job_id, {BOB})
            redis.echo("end")
            commands: list[str] = []
            for heard in monitor.listen():
                if heard["command"].startswith("ECHO"):
                    return commands
                commands.append(heard["command"].split()[0])
        raise AssertionError("the monitor fell silent")

    expected = commands_of(new_job_id())
    assert expected
    for job in (ended, waiting):
        assert commands_of(job.id) == expected
        assert store.get(job.id, {ALICE}).id == job.id


def test_jobs_and_fates_that_a_version_without_audiences_left(
    store: JobStore, admit: Callable[..., Job], redis: Redis
) -> None:
    ended, gone = admit(), admit()
    for job in (ended, gone):
        store.cancel(job.id)
    redis.delete(keys.AUDIENCES, keys.jobs_of(ANYONE))
    for job, fate in ((ended, "expired"), (gone, "deleted")):
        redis.set(keys.tombstone(job.id), fate)
    redis.delete(*keys.parts(gone.id))
    redis.zrem(keys.JOBS, gone.id)
    assert store.get(ended.id, {ANYONE}).id == ended.id
    with pytest.raises(JobDeletedError):
        store.get(gone.id, {ANYONE})
    for job in (ended, gone):
        with pytest.raises(UnknownJobError):
            store.get(job.id, {ALICE})


def test_lists_of_a_version_without_audiences_are_made_up_for_in_slices(
    store: JobStore, admit: Callable[..., Job], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_ADOPTED_AT_ONCE", 3)
    old = [admit(owner=owner) for owner in ("alice", "", "alice", "bob", "alice", "", "", "alice")]
    redis.delete(keys.AUDIENCES, *(keys.jobs_of(audience) for audience in (ALICE, BOB, ANYONE)))
    new = admit(owner="alice")
    assert [job.id for job in store.page(9, audiences={ALICE}).jobs] == [
        new.id
    ]  # no request pays for the old
    sizes: list[int] = []
    read = redis.mget

    def counting(wanted: list[str]) -> object:
        sizes.append(len(wanted))
        return read(wanted)

    monkeypatch.setattr(redis, "mget", counting)
    store.adopt()
    assert sizes == [3, 3, 2]
    monkeypatch.undo()
    for audience, n_jobs in ((ALICE, 5), (BOB, 1), (ANYONE, 3)):
        assert len(store.page(9, audiences={audience}).jobs) == n_jobs
    assert redis.hlen(keys.AUDIENCES) == len(old) + 1


@pytest.mark.parametrize(
    ("fate", "error"), [(Fate.EXPIRED, JobExpiredError), (Fate.DELETED, JobDeletedError)]
)
def test_tombstones(fate: Fate, error: type[Exception]) -> None:
    stored = tombstone_text(fate, ALICE).encode()
    assert type(absence("x", stored, {ALICE, ANYONE})) is error
    assert type(absence("x", stored, None)) is error
    assert (
        str(absence("x", stored, {BOB, ANYONE})) == str(absence("x", None, {BOB})) == "There is no job 'x'."
    )
    assert type(absence("x", stored, {BOB, ANYONE})) is UnknownJobError
    assert type(absence("x", str(fate).encode(), {ANYONE})) is error
