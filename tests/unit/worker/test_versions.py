"""Records of other versions: older ones are read and become new ones, newer ones are left as they are.

`records-version-2.jsonl` was written by version 2 of the program.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import new_job
from worker import jobs, keys
from worker.errors import NewerRecordError, WorkerLostError
from worker.jobs import ANYONE, OPERATORS, Job, JobKind, JobStatus
from worker.problems import problem_of
from worker.store import JobStore

VERSION_2 = (Path(__file__).parent / "records-version-2.jsonl").read_bytes().splitlines()


def test_records_of_version_2_are_read_as_they_were_meant() -> None:
    read = [jobs.from_record(record) for record in VERSION_2]
    assert {job.kind for job in read} == set(JobKind)
    for job, record in zip(read, VERSION_2, strict=True):
        written = json.loads(jobs.to_record(job))
        assert {name: written[name] for name in json.loads(record)} == json.loads(record)
        assert job.audience == (OPERATORS if job.kind in jobs.ADMIN_KINDS else ANYONE)


@pytest.mark.parametrize("record", VERSION_2, ids=lambda record: json.loads(record)["kind"])
def test_an_older_record_becomes_one_of_this_version_when_it_is_changed(
    redis: Redis, store: JobStore, record: bytes
) -> None:
    job = jobs.from_record(record)
    redis.set(keys.record(job.id), record)
    if job.status.is_terminal:
        assert store.get(job.id).record_version == 2
        return
    store.begin(job.id, "mine", max_attempts=3)
    assert store.get(job.id).record_version == jobs.RECORD_VERSION


CHANGES: dict[str, Callable[[JobStore, Job], object]] = {
    "begin": lambda store, job: store.begin(job.id, "mine", max_attempts=3),
    "cancel": lambda store, job: store.cancel(job.id),
    "abandon": lambda store, job: store.abandon(job.id, problem_of(WorkerLostError("It died."))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_newer_record_is_shown_and_left_as_it_is(
    redis: Redis, store: JobStore, change: Callable[[JobStore, Job], object]
) -> None:
    job = new_job()
    store.admit(job, b"recording", max_queued=10)
    newer = json.loads(jobs.to_record(job)) | {"record_version": jobs.RECORD_VERSION + 1, "later": [1, 2]}
    record = json.dumps(newer).encode()
    redis.set(keys.record(job.id), record, keepttl=True)
    with pytest.raises(NewerRecordError, match=f"is of version {jobs.RECORD_VERSION + 1}, newer than"):
        change(store, job)
    assert redis.get(keys.record(job.id)) == record
    assert store.get(job.id).status is JobStatus.QUEUED
