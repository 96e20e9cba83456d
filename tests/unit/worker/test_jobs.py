"""The record's transitions: the legal ones, and that no other passes."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.worker.jobs_made import NOW, new_job
from worker import jobs
from worker.errors import AttemptLostError, IllegalTransitionError
from worker.jobs import Job, JobKind, JobStatus
from worker.problems import Problem
from worker.progress import Progress

PROBLEM = Problem("/problems/truncated", "The recording is broken", 422, "It ends early.", {"n_bytes": 3})

ENDS = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


def running() -> Job:
    return jobs.begin(new_job(), "mine", NOW)


def test_terminal_statuses() -> None:
    assert {status for status in JobStatus if status.is_terminal} == ENDS


def test_a_whole_life() -> None:
    job = running()
    assert (job.status, job.started_at, job.attempts) == (JobStatus.RUNNING, NOW, 1)
    job = jobs.advance(job, "mine", Progress("attributing", 2, 5))
    job = jobs.succeed(job, "mine", {"instruments": []}, NOW)
    assert (job.status, job.finished_at, job.result) == (JobStatus.SUCCEEDED, NOW, {"instruments": []})
    assert job.progress == Progress("attributing", 5, 5)
    assert job.attempt_token is None


ENDINGS: dict[JobStatus, Callable[[Job], Job]] = {
    JobStatus.SUCCEEDED: lambda job: jobs.succeed(job, "mine", {}, NOW),
    JobStatus.FAILED: lambda job: jobs.fail(job, "mine", PROBLEM, NOW),
    JobStatus.CANCELLED: lambda job: jobs.cancel(job, NOW),
}


@pytest.mark.parametrize("status", ENDINGS)
def test_nothing_follows_an_end(status: JobStatus) -> None:
    ended = ENDINGS[status](running())
    assert ended.status is status
    with pytest.raises(IllegalTransitionError):
        jobs.begin(ended, "other", NOW)
    with pytest.raises(IllegalTransitionError):
        jobs.cancel(ended, NOW)
    with pytest.raises(IllegalTransitionError):
        jobs.abandon(ended, PROBLEM, NOW)
    with pytest.raises(AttemptLostError):
        jobs.advance(ended, "mine", Progress("x", 0, 1))
    for end in (ENDINGS[JobStatus.SUCCEEDED], ENDINGS[JobStatus.FAILED]):
        with pytest.raises(AttemptLostError):
            end(ended)


def test_a_queued_job_belongs_to_nobody() -> None:
    with pytest.raises(AttemptLostError):
        jobs.succeed(new_job(), "mine", {}, NOW)
    assert jobs.cancel(new_job(), NOW).status is JobStatus.CANCELLED
    assert jobs.abandon(new_job(), PROBLEM, NOW).error == PROBLEM


def test_a_new_attempt_takes_over() -> None:
    taken = jobs.begin(running(), "other", NOW)
    assert taken.attempts == 2
    with pytest.raises(AttemptLostError):
        jobs.succeed(taken, "mine", {}, NOW)
    assert jobs.succeed(taken, "other", {}, NOW).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("kind", JobKind)
def test_the_record_keeps_everything(kind: JobKind) -> None:
    job = jobs.fail(replace(running(), kind=kind), "mine", PROBLEM, NOW)
    assert jobs.from_record(jobs.to_record(job)) == job
    assert jobs.from_record(jobs.to_record(new_job(kind))).status is JobStatus.QUEUED


def test_a_record_of_a_later_version_can_be_read() -> None:
    record = jobs.to_record(new_job()).replace(b'"record_version":1', b'"record_version":2,"later":true')
    assert jobs.from_record(record).record_version == 2


def test_artifact_paths_are_quoted() -> None:
    assert jobs.artifact_path("1", "map-violin.png") == "/jobs/1/artifacts/map-violin.png"
    assert jobs.artifact_path("1", "../a b") == "/jobs/1/artifacts/..%2Fa%20b"


def test_bounds_are_those_of_the_science() -> None:
    from ml import explanation

    assert jobs.LONGEST_EXPLAINED_S == explanation.LONGEST_WHOLE_S
    assert jobs.MAX_CONCEPTS == explanation.MAX_CONCEPTS
