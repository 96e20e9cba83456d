"""Jobs for the tests of the worker's front."""

from datetime import UTC, datetime

from worker.ids import new_job_id
from worker.jobs import Job, JobKind
from worker.orders import DatasetOrder, TrainingOrder
from worker.questions import JobInput, ModelRef, Parameters
from worker.store import Lifetimes

LIFETIMES = Lifetimes(result_ttl_s=60.0, tombstone_ttl_s=60.0, unfinished_ttl_s=60.0)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def new_job(kind: JobKind = JobKind.EXPLAIN) -> Job:
    """A queued job."""
    return Job(
        id=new_job_id(),
        kind=kind,
        input=JobInput("clip.wav", "00" * 32, "wav", 5.0, 44_100, 1),
        model=ModelRef("default", "11" * 32),
        parameters=Parameters(instruments=("Violin",), threshold=0.25),
        created_at=datetime.now(UTC),
    )


def new_dataset_job(url: str = "/data/sets/winds") -> Job:
    """A queued data set job."""
    order = DatasetOrder({"name": "winds", "n_clips": 10}, url, audio=True, stems=False)
    return Job(id=new_job_id(), kind=JobKind.DATASET, created_at=datetime.now(UTC), order=order)


def new_training_job(model_id: str = "winds") -> Job:
    """A queued training job."""
    order = TrainingOrder("/data/sets/winds", model_id, {"n_epochs": 3}, overwrite=False)
    return Job(id=new_job_id(), kind=JobKind.TRAINING, created_at=datetime.now(UTC), order=order)
