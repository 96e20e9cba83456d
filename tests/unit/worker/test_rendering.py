"""Rendering a concept's reference, with a real model and a real SoundFont."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from redis import Redis

from ml.concepts.atlas import ATLAS_NAME, atlas_bytes
from ml.errors import MissingAtlasError, UnknownConceptError
from tests.unit.worker.atlas_made import LAYER, shipped_card, small_atlas
from worker.catalog import Catalog
from worker.decoding import open_sandboxes
from worker.errors import ModelGoneError
from worker.figures import Figures
from worker.host import ModelHost
from worker.presence import Presence
from worker.questions import ModelRef
from worker.queue import JobQueue
from worker.reaper import Reaper
from worker.references import Reference
from worker.rendering import render
from worker.settings import WorkerSettings
from worker.workplace import Workplace, job_store

WANTED = Reference(ModelRef("default", shipped_card().sha256), LAYER, 0, 0)


@pytest.fixture
def here(redis_url: str, tmp_path: Path) -> Workplace:
    """A workplace whose default model has the small atlas, and whose other one has none."""
    shipped = WorkerSettings().models_dir
    for name in ("default", "reference"):
        (tmp_path / name).mkdir()
        for file in (shipped / name).iterdir():
            if file.name != ATLAS_NAME:
                (tmp_path / name / file.name).symlink_to(file)
    (tmp_path / "default" / ATLAS_NAME).write_bytes(atlas_bytes(small_atlas()))
    settings = WorkerSettings(redis_url=redis_url, device="cpu", state_dir=tmp_path, models_dir=tmp_path)
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


def test_a_reference_can_be_heard_and_seen(here: Workplace) -> None:
    made = render(WANTED, here)
    samples, rate_hz = soundfile.read(io.BytesIO(made.wav))
    assert rate_hz == here.host.default.sample_rate_hz
    assert np.abs(samples).max() > 0.1
    assert Image.open(io.BytesIO(made.png)).size > (100, 100)
    assert render(WANTED, here) == made


def test_what_is_no_longer_as_it_was(here: Workplace) -> None:
    with pytest.raises(ModelGoneError, match="'default' with the weights 0000000000000000"):
        render(replace(WANTED, model=ModelRef("default", "00" * 32)), here)
    reference = here.host.model(ModelRef("reference", ""))
    with pytest.raises(MissingAtlasError, match="'reference' has no atlas"):
        render(replace(WANTED, model=ModelRef("reference", reference.card.sha256)), here)
    with pytest.raises(UnknownConceptError):
        render(replace(WANTED, place=2), here)
