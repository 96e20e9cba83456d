"""Making data sets, and training on them.

Conventions: a training step is one of the shipped model's training, whose examples are mixed anew each time.
"""

from __future__ import annotations

import atexit
import dataclasses
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import COST, Measurement, Row, Side, compared, interleaved
from ml.dataset.build import build_dataset, build_shard, plan_dataset
from ml.dataset.shards import ShardContent
from ml.dataset.storage import LocalStorage
from ml.synthesis.instantiate import instantiate
from ml.synthesis.midi_file import stem_messages
from ml.synthesis.recipe import Recipe, read_recipe
from ml.synthesis.render import SAMPLE_RATE_HZ, RenderOptions, render_events
from ml.training.config import read_config
from ml.training.run import open_run

N_CLIPS = 24
N_SOLOS = 96
N_STEPS = 4
N_PROCESSES = 2
N_CLIPS_SHARED, CLIPS_PER_SHARD = 320, 10
N_BUILDS = 3


def _protocol(n_clips: int, **fields: object) -> Recipe:
    return read_recipe(Path("recipes/protocol.yaml")).model_copy(update={"n_clips": n_clips, **fields})


def _dataset() -> tuple[Side, Side]:
    recipe = _protocol(N_CLIPS, validation_share=0.0)
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


def _loader() -> tuple[Side, Side]:
    """Steps as a training takes them, and the same with all examples there."""
    folder = Path(tempfile.mkdtemp(prefix="timbrescope-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    solos = _protocol(N_SOLOS, validation_share=0.25, instruments_per_clip=(1,))
    build_dataset(solos, folder / "solos", content=ShardContent(audio=False))
    config = read_config(Path("recipes/train-default.yaml"), {})
    config = config.model_copy(update={"examples_per_epoch": N_STEPS * config.batch_size})
    run = open_run(folder / "solos", LocalStorage(folder / "model"), config, model_id="bench", device="cpu")
    source = run._examples
    ready = list(source.epoch(1, first_step=0))
    run._network.train()

    def training() -> None:
        for step, examples in enumerate(source.epoch(1, first_step=0)):
            run._step(1, step, examples)

    def steps() -> None:
        for step, examples in enumerate(ready):
            run._step(1, step, examples)

    return training, steps


def _cores() -> Callable[[str], Measurement]:
    """A row's `measure`: how many cores render a data set, from the start of its processes to their end."""

    def measure(ratio_of: str) -> Measurement:
        recipe = _protocol(N_CLIPS_SHARED, validation_share=0.0)
        busy = []
        for _ in range(N_BUILDS):
            with tempfile.TemporaryDirectory(prefix="timbrescope-bench-") as folder:
                before_s, started = _children_cpu_s(), time.perf_counter()
                build_dataset(recipe, folder, n_jobs=N_PROCESSES, clips_per_shard=CLIPS_PER_SHARD)
                busy.append((_children_cpu_s() - before_s) / (time.perf_counter() - started))
        return compared(busy, [float(N_PROCESSES)], unit="cores", ratio_of=ratio_of)

    return measure


def _children_cpu_s() -> float:
    """Computing time of all processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
    Row(
        "loader",
        f"{N_STEPS} steps of a training",
        "the same, their examples there",
        COST,
        "<= 1.3",
        interleaved(_loader, 5),
        "<= 1.1",
    ),
    Row(
        "cores",
        f"cores busy rendering with {N_PROCESSES} processes",
        "processes",
        COST,
        ">= 0.9",
        _cores(),
    ),
)
