"""How often a short job waits for Redis: not for every stage and every file."""

import json
from typing import cast

import pytest
from redis import Redis

from tests.round_trips import round_trips
from tests.unit.worker.jobs_made import LIFETIMES, new_job
from worker import keys
from worker.artifacts import ArtifactStore
from worker.attempt import Attempt, Delivery, attempt_job
from worker.jobs import Job, JobStatus
from worker.leases import Leases
from worker.progress import Progress
from worker.reports import Reports
from worker.store import JobStore

# Lease taken; record watched, read and written as the job begins; recording read; the same three as it ends,
# with all files, stages and events; lease released.
AS_CLAIMED = 9


def test_a_short_job_takes_few(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = Redis.from_url(redis_url)
    # no report in between, however busy the machine
    monkeypatch.setattr("worker.attempt.Reports", lambda write, interval_s: Reports(write, 60.0))
    store, artifacts, leases = JobStore(redis, LIFETIMES), ArtifactStore(redis), Leases(redis)
    warm, job = new_job(), new_job()
    for each in (warm, job):
        store.admit(each, b"recording", max_queued=2)

    def work(_: Job, attempt: Attempt) -> dict[str, object]:
        for stage in ("decoding", "classifying"):
            attempt.progress(stage, 0, 1)
            attempt.progress(stage, 1, 1)
        attempt.uploads()
        for name in ("audio.wav", "result.jams", "instruments.csv", "timeline.csv"):
            attempt.keep_for_end(name, "application/octet-stream", name.encode())
        return {"instruments": []}

    def do(each: Job) -> None:
        attempt_job(
            each.id,
            work,
            delivery=Delivery("message"),
            store=store,
            artifacts=artifacts,
            leases=leases,
            max_attempts=3,
        )

    do(warm)  # loads the scripts
    with round_trips(monkeypatch) as found:
        do(job)
    ended = store.get(job.id)
    assert ended.status is JobStatus.SUCCEEDED
    assert ended.progress == Progress("classifying", 1, 1)
    assert artifacts.data(job.id, "timeline.csv") == b"timeline.csv"
    events = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrange(keys.events(job.id)))
    told = [json.loads(entry[b"event"])["progress"]["stage"] for _, entry in events]
    assert list(dict.fromkeys(told)) == ["queued", "starting", "decoding", "classifying"]
    assert found.n == AS_CLAIMED
