"""Planning a data set whose notes come from scores: in turns, told, and stopped when it is cancelled."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from ml.dataset.storage import open_storage
from ml.synthesis.instantiate import instantiate
from ml.synthesis.melodies import corpora
from ml.synthesis.melodies.phrases import Part, read_parts
from ml.synthesis.midi_file import clip_midi
from ml.synthesis.recipe import Recipe
from worker.attempt import Delivery
from worker.catalog import Catalog
from worker.datasets import dataset_step
from worker.decoding import open_sandboxes
from worker.figures import Figures
from worker.host import ModelHost
from worker.ids import new_job_id
from worker.jobs import Job, JobKind, JobStatus
from worker.orders import DatasetOrder
from worker.presence import Presence
from worker.queue import JobQueue
from worker.reaper import Reaper
from worker.settings import WorkerSettings
from worker.units import Units
from worker.workplace import Workplace, job_store

READING_S = 0.2
N_FILES = 5
N_CLIPS = 10


@pytest.fixture
def here(redis_url: str, tmp_path: Path) -> Workplace:
    settings = WorkerSettings(redis_url=redis_url, device="cpu", state_dir=tmp_path)
    redis = Redis.from_url(redis_url)
    queue = JobQueue(settings)
    return Workplace(
        settings=settings,
        redis=redis,
        host=ModelHost(settings, Catalog(redis)),
        queue=queue,
        presence=Presence(Catalog(redis), "here", ()),
        reaper=Reaper(redis, job_store(redis, settings), queue),
        sandboxes=open_sandboxes(settings, Figures(redis)),
    )


@pytest.fixture
def job(here: Workplace, tmp_path: Path) -> Job:
    """A data set of a few scores' phrases, just accepted."""
    plain = Recipe.model_validate({"name": "scores", "n_clips": N_CLIPS, "clip_duration_s": 1.0})
    scores = tmp_path / "scores"
    scores.mkdir()
    for number, clip in enumerate(instantiate(plain, range(N_FILES))):
        (scores / f"{number}.mid").write_bytes(clip_midi(clip))
    fields = {**plain.model_dump(mode="json"), "melody": {"source": "phrases", "folder": str(scores)}}
    order = DatasetOrder(fields, f"{here.settings.dataset_places[0]}/scores", audio=True, stems=False)
    made = Job(id=new_job_id(), kind=JobKind.DATASET, created_at=datetime.now(UTC), order=order)
    here.store.admit(made, max_queued=10)
    return made


def reading_slowly(monkeypatch: pytest.MonkeyPatch, on_read: Callable[[int], None]) -> list[str]:
    """Makes every score take its time; the names of those that were read."""
    read: list[str] = []

    def slowly(data: bytes, field: str, name: str) -> list[Part]:
        time.sleep(READING_S)
        read.append(Path(name).name)
        on_read(len(read))
        return read_parts(data, field, name)

    monkeypatch.setattr(corpora, "read_parts", slowly)
    return read


def test_scores_are_read_in_turns_and_none_twice(
    here: Workplace, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reading_slowly(monkeypatch, lambda n_read: None)
    monkeypatch.setattr("worker.datasets.PLANNING_TURN_S", 1.5 * READING_S)
    n_turns = 0
    while not Units(here.redis, job.id).are_open():
        n_turns += 1
        assert n_turns <= N_FILES
        assert dataset_step(job.id, Delivery(f"message-{n_turns}"), here) == 1
        waiting = here.store.get(job.id)
        assert (waiting.status, waiting.attempts <= 1) == (JobStatus.RUNNING, True)
        if n_turns == 1:
            assert (waiting.progress.stage, waiting.progress.total) == ("planning", N_FILES)
            assert 1 <= waiting.progress.done < N_FILES
    assert n_turns > 1
    assert read == [f"{number}.mid" for number in range(N_FILES)]
    progress = here.store.get(job.id).progress
    assert (progress.stage, progress.done, progress.total) == ("rendering", 0, N_CLIPS)


def test_cancelled_while_scores_are_read_it_claims_nothing(
    here: Workplace, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel_at_the_second(n_read: int) -> None:
        if n_read == 2:
            here.store.cancel(job.id)

    read = reading_slowly(monkeypatch, cancel_at_the_second)
    assert dataset_step(job.id, Delivery("message"), here) == 0
    assert len(read) == 2
    assert here.store.get(job.id).status is JobStatus.CANCELLED
    assert open_storage(f"{here.settings.dataset_places[0]}/scores").list() == ()
