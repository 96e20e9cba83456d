"""Shards: the files of a data set, each written whole or not at all.

A shard holds up to `CLIPS_PER_SHARD` clips of one split, as three files that share a stem such as
`train-00003`:

* `train-00003.npy`   level_db, float16 `(n_clips, n_mels, n_frames)`, what training reads;
* `train-00003.tar`   WebDataset-style: for each clip `<id>.flac` (the mix), `<id>.mid`, `<id>.json` (the clip
  plan with the gain that mixing applied), and with stems `<id>.<k>.flac` in the plan's order;
* `train-00003.json`  the record of the finished shard: clip ids, checksums. It is written last, by renaming,
  so a shard without it does not exist and is rendered again.

Shards are pure functions of (recipe, shard index, SoundFonts, library versions): any process may write any
shard.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ml.melspec import MelConfig, level_db
from ml.synthesis.instantiate import ClipPlan, Split
from ml.synthesis.midi_file import clip_midi
from ml.synthesis.mix import RenderedClip, render_clip
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import Bank

CLIPS_PER_SHARD = 100


@dataclass(frozen=True)
class ShardPlan:
    """Which clips a shard holds."""

    name: str
    split: Split
    clips: tuple[ClipPlan, ...]


@dataclass(frozen=True)
class ShardContent:
    """What is written beside the log-mels."""

    audio: bool = True
    stems: bool = False


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard: its clips, in order, and the SHA-256 of each of its files."""

    name: str
    split: Split
    clip_ids: tuple[str, ...]
    checksums: dict[str, str]


def plan_shards(clips: Sequence[ClipPlan]) -> tuple[ShardPlan, ...]:
    """Cut clips into shards of one split each, in clip order.

    Parameters
    ----------
    clips : sequence of ClipPlan

    Returns
    -------
    tuple of ShardPlan
        Training shards first; each holds up to `CLIPS_PER_SHARD` clips.
    """
    splits: tuple[Split, ...] = ("train", "validation")
    shards: list[ShardPlan] = []
    for split in splits:
        members = [clip for clip in clips if clip.split == split]
        for index, first in enumerate(range(0, len(members), CLIPS_PER_SHARD)):
            shards.append(
                ShardPlan(f"{split}-{index:05d}", split, tuple(members[first : first + CLIPS_PER_SHARD]))
            )
    return tuple(shards)


def write_shard(
    shard: ShardPlan, folder: Path, banks: Mapping[str, Bank], mel: MelConfig, content: ShardContent
) -> ShardRecord:
    """Render a shard's clips and write its files.

    Parameters
    ----------
    shard : ShardPlan
    folder : Path
        The data set's folder.
    banks : mapping of str to Bank
        Every SoundFont that the clips name.
    mel : MelConfig
    content : ShardContent

    Returns
    -------
    ShardRecord
        Also written as the shard's `.json`, after the other files are complete.

    Raises
    ------
    SystemDependencyError
        When FluidSynth or a SoundFont is missing.
    OSError
        When the disk is full; finished shards stay.
    """
    levels: list[NDArray[np.float16]] = []
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for plan in shard.clips:
            clip = render_clip(plan, banks)
            levels.append(level_db(clip.mix, mel).astype(np.float16))
            if content.audio:
                _add_clip(tar, clip, content)
    files = {f"{shard.name}.npy": _npy_bytes(np.stack(levels))}
    if content.audio:
        files[f"{shard.name}.tar"] = archive.getvalue()
    for name, data in files.items():
        write_whole(folder / name, data)
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    record = ShardRecord(shard.name, shard.split, tuple(plan.clip_id for plan in shard.clips), checksums)
    write_whole(folder / f"{shard.name}.json", json.dumps(asdict(record), indent=1).encode())
    return record


def read_finished(shard: ShardPlan, folder: Path) -> ShardRecord | None:
    """Look whether a shard is already complete for these very clips.

    Parameters
    ----------
    shard : ShardPlan
    folder : Path
        The data set's folder.

    Returns
    -------
    ShardRecord or None
        None when the record or one of its files is missing, or it is of other clips.
    """
    path = folder / f"{shard.name}.json"
    if not path.is_file():
        return None
    record = read_record(path)
    complete = all((folder / name).is_file() for name in record.checksums)
    return record if complete and record.clip_ids == tuple(plan.clip_id for plan in shard.clips) else None


def read_record(path: Path) -> ShardRecord:
    """Read a shard's `.json`."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return ShardRecord(**{**fields, "clip_ids": tuple(fields["clip_ids"])})


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is either absent or complete, whatever interrupts."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _add_clip(tar: tarfile.TarFile, clip: RenderedClip, content: ShardContent) -> None:
    clip_id = clip.plan.clip_id
    description = {**json.loads(clip.plan.to_json()), "common_gain_db": clip.common_gain_db}
    members = {f"{clip_id}.flac": _flac_bytes(clip.mix), f"{clip_id}.mid": clip_midi(clip.plan)}
    if content.stems:
        members |= {f"{clip_id}.{index}.flac": _flac_bytes(stem) for index, stem in enumerate(clip.stems)}
    members[f"{clip_id}.json"] = json.dumps(description, separators=(",", ":")).encode()
    for name, data in members.items():
        entry = tarfile.TarInfo(
            name
        )  # time, owner and mode stay at their zero defaults: equal clips, equal bytes
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))


def _flac_bytes(samples: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _npy_bytes(array: NDArray[np.float16]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
