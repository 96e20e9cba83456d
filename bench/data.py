"""Making data sets."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from bench.measure import COST, Row, Side, interleaved
from ml.dataset.build import build_shard, plan_dataset
from ml.dataset.storage import LocalStorage
from ml.synthesis.instantiate import instantiate
from ml.synthesis.midi_file import stem_messages
from ml.synthesis.recipe import read_recipe
from ml.synthesis.render import SAMPLE_RATE_HZ, RenderOptions, render_events

N_CLIPS = 24


def _dataset() -> tuple[Side, Side]:
    recipe = read_recipe(Path("recipes/protocol.yaml")).model_copy(
        update={"n_clips": N_CLIPS, "validation_share": 0.0}
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


ROWS = (
    Row(
        "dataset",
        "protocol clips to sound and log-mels",
        "FluidSynth alone",
        COST,
        "<= 1.2",
        interleaved(_dataset, 5),
        "<= 1.1",
    ),
)
