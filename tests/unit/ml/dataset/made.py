"""Data sets of any size that cost no disk: real manifests over sparse files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml.dataset.manifest import Manifest, RecipeSource
from ml.dataset.occurrences import count_occurrences
from ml.dataset.shards import CLIPS_PER_SHARD, ShardRecord
from ml.dataset.storage import LocalStorage
from ml.melspec import MelConfig
from ml.synthesis.recipe import Recipe

N_FRAMES = 431
MEL = MelConfig()


def sparse_data_set(folder: Path, n_clips: int, n_frames: int = N_FRAMES, *, marked: bool = True) -> Manifest:
    """A data set whose clips are zeros but for the first cell: a marked clip has its number modulo 2,000."""
    recipe = Recipe(name="sparse", n_clips=n_clips, validation_share=0.0)
    clip_bytes = MEL.n_mels * n_frames * 2
    folder.mkdir()
    shards = []
    for number, first in enumerate(range(0, n_clips, CLIPS_PER_SHARD)):
        clips = range(first, min(first + CLIPS_PER_SHARD, n_clips))
        name = f"train-{number:05d}"
        with (folder / f"{name}.npy").open("wb") as stream:
            header = {"descr": "<f2", "fortran_order": False, "shape": (len(clips), MEL.n_mels, n_frames)}
            np.lib.format.write_array_header_1_0(stream, header)
            start = stream.tell()
            for place, clip in enumerate(clips if marked else ()):
                stream.seek(start + place * clip_bytes)
                stream.write(np.float16(clip % 2_000).tobytes())
            stream.truncate(start + len(clips) * clip_bytes)
        (folder / f"{name}.jsonl").write_bytes(b"")
        record = ShardRecord(
            name,
            "train",
            tuple(f"sparse-{clip:07d}" for clip in clips),
            tuple((clip % 12, (clip + 5) % 12) for clip in clips),
            tuple(("FluidR3_GM",) for _ in clips),
            "made",
            {f"{name}.npy": "0" * 64, f"{name}.jsonl": "0" * 64},
        )
        shards.append(record)
    manifest = Manifest(
        RecipeSource(recipe, recipe.digest, {}),
        recipe.labels,
        MEL,
        n_frames,
        tuple(shards),
        count_occurrences(shards, recipe.labels),
        {},
    )
    manifest.write(LocalStorage(folder))
    return manifest
