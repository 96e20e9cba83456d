"""The record's transitions: the legal ones, and that no other passes."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ml.checkpoint import ModelCard
from tests.unit.worker.jobs_made import NOW, new_dataset_job, new_job, new_training_job
from worker import jobs, questions, transitions
from worker.errors import AttemptLostError, IllegalTransitionError
from worker.jobs import Job, JobKind, JobStatus
from worker.orders import MODEL_ID_PATTERN
from worker.problems import Problem
from worker.progress import EpochMetrics, Progress

PROBLEM = Problem("/problems/truncated", "The recording is broken", 422, "It ends early.", {"n_bytes": 3})

ENDS = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


def running() -> Job:
    return transitions.begin(new_job(), "mine", NOW)


def test_terminal_statuses() -> None:
    assert {status for status in JobStatus if status.is_terminal} == ENDS


def test_a_whole_life() -> None:
    job = running()
    assert (job.status, job.started_at, job.attempts) == (JobStatus.RUNNING, NOW, 1)
    job = transitions.advance(job, "mine", Progress("attributing", 2, 5))
    job = transitions.succeed(job, "mine", {"instruments": []}, NOW)
    assert (job.status, job.finished_at, job.result) == (JobStatus.SUCCEEDED, NOW, {"instruments": []})
    assert job.progress == Progress("attributing", 5, 5)
    assert job.attempt_token is None


ENDINGS: dict[JobStatus, Callable[[Job], Job]] = {
    JobStatus.SUCCEEDED: lambda job: transitions.succeed(job, "mine", {}, NOW),
    JobStatus.FAILED: lambda job: transitions.fail(job, "mine", PROBLEM, NOW),
    JobStatus.CANCELLED: lambda job: transitions.cancel(job, NOW),
}


@pytest.mark.parametrize("status", ENDINGS)
def test_nothing_follows_an_end(status: JobStatus) -> None:
    ended = ENDINGS[status](running())
    assert ended.status is status
    with pytest.raises(IllegalTransitionError):
        transitions.begin(ended, "other", NOW)
    with pytest.raises(IllegalTransitionError):
        transitions.cancel(ended, NOW)
    with pytest.raises(IllegalTransitionError):
        transitions.abandon(ended, PROBLEM, NOW)
    with pytest.raises(AttemptLostError):
        transitions.advance(ended, "mine", Progress("x", 0, 1))
    for end in (ENDINGS[JobStatus.SUCCEEDED], ENDINGS[JobStatus.FAILED]):
        with pytest.raises(AttemptLostError):
            end(ended)


def test_a_queued_job_belongs_to_nobody() -> None:
    with pytest.raises(AttemptLostError):
        transitions.succeed(new_job(), "mine", {}, NOW)
    assert transitions.cancel(new_job(), NOW).status is JobStatus.CANCELLED
    assert transitions.abandon(new_job(), PROBLEM, NOW).error == PROBLEM


def test_a_new_attempt_takes_over() -> None:
    taken = transitions.begin(running(), "other", NOW)
    assert taken.attempts == 2
    with pytest.raises(AttemptLostError):
        transitions.succeed(taken, "mine", {}, NOW)
    assert transitions.succeed(taken, "other", {}, NOW).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("kind", JobKind)
def test_the_record_keeps_everything(kind: JobKind) -> None:
    job = transitions.fail(replace(running(), kind=kind), "mine", PROBLEM, NOW)
    assert jobs.from_record(jobs.to_record(job)) == job
    assert jobs.from_record(jobs.to_record(new_job(kind))).status is JobStatus.QUEUED


def test_a_record_of_a_later_version_can_be_read() -> None:
    record = jobs.to_record(new_job())
    later = json.dumps({**json.loads(record), "record_version": jobs.RECORD_VERSION + 1, "later": True})
    assert jobs.from_record(later.encode()).record_version == jobs.RECORD_VERSION + 1


def test_artifact_paths_are_quoted() -> None:
    assert jobs.artifact_path("1", "map-violin.png") == "/jobs/1/artifacts/map-violin.png"
    assert jobs.artifact_path("1", "../a b") == "/jobs/1/artifacts/..%2Fa%20b"


def test_bounds_are_those_of_the_science() -> None:
    from ml import explanation
    from ml.truth import shapley

    assert questions.LONGEST_EXPLAINED_S == explanation.LONGEST_WHOLE_S
    assert questions.MAX_CONCEPTS == explanation.MAX_CONCEPTS
    assert questions.MAX_STEMS == shapley.MAX_PLAYERS


METRICS = EpochMetrics(epoch=1, n_epochs=5, train_loss=0.5, validation_loss=0.4, macro_f1=0.7)


def training() -> Job:
    return transitions.begin(new_training_job(), "mine", NOW)


def test_what_comes_late_takes_nothing_back() -> None:
    job = transitions.advance(running(), "mine", Progress("rendering", 200, 300))
    assert transitions.advance(job, "mine", Progress("rendering", 100, 300)).progress.done == 200
    assert transitions.advance(job, "mine", Progress("drawing", 0, 3)).progress == Progress("drawing", 0, 3)


def test_the_last_epoch_stays_known() -> None:
    job = transitions.advance(training(), "mine", Progress("training", 10, 50, metrics=METRICS))
    job = transitions.advance(job, "mine", Progress("training", 11, 50))
    assert (job.progress.done, job.progress.metrics) == (11, METRICS)
    again = transitions.begin(job, "other", NOW)
    assert again.progress == Progress("starting", 0, 0, metrics=METRICS)


def test_pieces_follow_one_another_as_one_life() -> None:
    job = transitions.advance(training(), "mine", Progress("training", 10, 50))
    rested = transitions.rest(job, "mine")
    assert (rested.status, rested.attempts, rested.attempt_token) == (JobStatus.RUNNING, 0, None)
    later = transitions.begin(rested, "next", NOW + timedelta(hours=1))
    assert (later.started_at, later.progress, later.attempts) == (NOW, job.progress, 1)
    with pytest.raises(AttemptLostError):
        transitions.rest(later, "mine")


def test_only_a_training_with_an_epoch_can_stop_early() -> None:
    assert not training().can_stop_early
    assert not running().can_stop_early
    job = transitions.advance(training(), "mine", Progress("training", 10, 50, metrics=METRICS))
    assert job.can_stop_early
    stopping = transitions.ask_to_stop(job)
    assert stopping.stopping
    assert not stopping.can_stop_early
    ended = transitions.stop_early(stopping, "mine", {"trained": {}}, NOW)
    assert (ended.status, ended.result, ended.stopping) == (JobStatus.CANCELLED, {"trained": {}}, False)
    with pytest.raises(IllegalTransitionError):
        transitions.ask_to_stop(ended)


@pytest.mark.parametrize("job", [new_job(), new_dataset_job(), new_training_job()], ids=lambda job: job.kind)
def test_records_of_every_kind_are_read_back(job: Job) -> None:
    assert jobs.from_record(jobs.to_record(job)) == job
    makes_something = job.kind in {JobKind.DATASET, JobKind.TRAINING}
    assert job.audience == (jobs.OPERATORS if makes_something else jobs.ANYONE)
    assert replace(job, owner="k1").audience == (jobs.OPERATORS if makes_something else "key:k1")


def test_records_of_the_first_shape_are_still_read() -> None:
    fields = json.loads(jobs.to_record(new_job()))
    for added in ("order", "stopping"):
        del fields[added]
    for added in ("per_second", "left_s", "metrics"):
        del fields["progress"][added]
    fields["record_version"] = 1
    job = jobs.from_record(json.dumps(fields).encode())
    assert (job.order, job.stopping, job.progress.metrics) == (None, False, None)


def test_ids_of_ordered_models_are_those_of_cards() -> None:
    assert ModelCard.model_json_schema()["properties"]["id"]["pattern"] == MODEL_ID_PATTERN
