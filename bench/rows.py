"""The rows of the table: the shipped model, the example clip, the protocol recipe."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.measure import Row, Side
from ml.artifacts import explanation_artifacts
from ml.checkpoint import SHIPPED_MODELS
from ml.classification import listen
from ml.dataset.build import build_shard, plan_dataset
from ml.dataset.storage import LocalStorage
from ml.explanation import explain
from ml.model import Model, load_model
from ml.recording import Recording, load_recording
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target
from ml.synthesis.instantiate import instantiate
from ml.synthesis.midi_file import stem_messages
from ml.synthesis.recipe import read_recipe
from ml.synthesis.render import SAMPLE_RATE_HZ, RenderOptions, render_events

EXAMPLE = Path("examples/trumpet-and-celesta.wav")
N_DATASET_CLIPS = 24
TWO, FOUR = ("Trumpet", "Celesta"), ("Trumpet", "Celesta", "Violin", "Piccolo")


@functools.cache
def _model() -> Model:
    return load_model(SHIPPED_MODELS / "default")


@functools.cache
def _recording() -> Recording:
    return load_recording(EXAMPLE.read_bytes(), sample_rate_hz=_model().sample_rate_hz)


@functools.cache
def _inputs() -> NDArray[np.float32]:
    return listen(_model(), _recording()).inputs


def _maps(names: tuple[str, ...], n_concepts: int, engine: str) -> Side:
    targets = [Target(_model().card.labels.index(name)) for name in names]
    return lambda: explain_targets(_model(), _inputs(), targets, n_concepts, engine=engine)


def _engines() -> tuple[Side, Side]:
    return _maps(TWO, 5, "direct"), _maps(TWO, 5, "zennit")


def _forward() -> Side:
    data = torch.from_numpy(_inputs()).unsqueeze(1)

    def forward() -> None:
        with torch.inference_mode():
            _model().network(data)

    return forward


def _passes() -> tuple[Side, Side]:
    return _maps(TWO, 5, "direct"), _forward()


def _growth() -> tuple[Side, Side]:
    return _maps(FOUR, 16, "direct"), _maps(FOUR[:1], 1, "direct")


def _everything() -> Side:
    """From the bytes of a clip to the bytes of every file: maps, evidence to hear, quality, pictures."""
    data = EXAMPLE.read_bytes()

    def everything() -> None:
        recording = load_recording(data, sample_rate_hz=_model().sample_rate_hz)
        explanation = explain(_model(), recording, instruments=TWO, n_concepts=5)
        for _ in explanation_artifacts(explanation, _model().card):
            pass

    return everything


def _whole_explanation() -> tuple[Side, Side]:
    return _everything(), _maps(TWO, 5, "direct")


def _evidence() -> tuple[Side, Side]:
    return _everything(), _maps(TWO, 5, "zennit")


def _evidence_passes() -> tuple[Side, Side]:
    return _everything(), _forward()


def _dataset() -> tuple[Side, Side]:
    recipe = read_recipe(Path("recipes/protocol.yaml")).model_copy(
        update={"n_clips": N_DATASET_CLIPS, "validation_share": 0.0}
    )
    with tempfile.TemporaryDirectory(prefix="timbrescope-bench-") as folder:
        plan = plan_dataset(recipe, LocalStorage(Path(folder)))
    clips = tuple(instantiate(recipe))
    n_samples = round(recipe.clip_duration_s * SAMPLE_RATE_HZ)

    def data_set() -> None:
        with tempfile.TemporaryDirectory(prefix="timbrescope-bench-") as folder:
            elsewhere = dataclasses.replace(plan, storage=LocalStorage(Path(folder)))
            for shard in plan.shards:
                build_shard(elsewhere, shard.name)

    def fluidsynth() -> None:
        for clip in clips:
            options = RenderOptions(clip.reverb, clip.chorus)
            for stem in clip.stems:
                path = plan.banks[stem.soundfont].file_for(stem.program)
                render_events(stem_messages(stem), path, n_samples, options)

    return data_set, fluidsynth


FASTER, COST = "yardstick / measured", "measured / yardstick"
EVERYTHING = "2 x 5, decode to all artefacts"

ROWS = (
    Row("explain", "2 instruments x 5 concepts, maps", "the same by zennit-crp", FASTER, ">= 6", _engines),
    Row("passes", "2 instruments x 5 concepts, maps", "one forward pass", COST, "<= 8", _passes),
    Row("growth", "4 instruments x 16 concepts", "1 instrument x 1 concept", COST, "<= 12", _growth),
    Row("whole", EVERYTHING, "the maps alone", COST, "<= 3", _whole_explanation),
    Row("evidence", EVERYTHING, "its maps alone by zennit-crp", COST, "<= 10 s", _evidence, n_repeats=5),
    Row("evidence-passes", EVERYTHING, "one forward pass", COST, "<= 10 s", _evidence_passes, n_repeats=5),
    Row(
        "dataset",
        "protocol clips to sound and log-mels",
        "FluidSynth alone",
        COST,
        "<= 1.3",
        _dataset,
        n_repeats=5,
    ),
)
