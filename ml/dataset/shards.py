"""Shards: the files of a data set, each written whole or not at all.

A shard holds the clips of one split that belong together, as files that share a stem such as `train-00003`:

* `train-00003.npy`        level_db, float16 `(n_clips, n_mels, n_frames)`, what training reads;
* `train-00003.stems.npy`  where stems are kept: those of every stem, float16 `(n_stems, n_mels, n_frames)`,
                           clip after clip;
* `train-00003.tar`        WebDataset-style sound: files named for the clip's id (`ml.dataset.clip_files`);
* `train-00003.jsonl`      one line per clip that says what it is: a clip plan, or where it was cut from;
* `train-00003.json`       the record of the finished shard: clips, labels, checksums. It is written last,
                           so a shard without it does not exist and is made again.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.dataset.storage import Storage
from ml.dataset.versions import machine_kind
from ml.synthesis.plan import Split

CLIPS_PER_SHARD = 100  # ten seconds of work: short enough to hand out, long enough to be worth it


@dataclass(frozen=True)
class ShardContent:
    """What is written beside the log-mels of the mixes: sound, and stems as sound and log-mels."""

    audio: bool = True
    stems: bool = False


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard.

    Attributes
    ----------
    name : str
    split : {"train", "validation"}
    clip_ids : tuple of str
    labels : tuple of tuple of int
        For each clip the places of its labels in the data set's `labels`; where the clip has stems, in their
        order.
    soundfonts : tuple of tuple of str
        For each clip the SoundFonts that play it, sorted; none for recordings.
    machine : str
        The kind of machine it was made on: other kinds may round differently.
    checksums : dict of str to str
        SHA-256 of each of its files, by name.
    """

    name: str
    split: Split
    clip_ids: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    soundfonts: tuple[tuple[str, ...], ...]
    machine: str
    checksums: dict[str, str]

    def __len__(self) -> int:
        return len(self.clip_ids)

    @property
    def levels_name(self) -> str:
        """Name of the file of log-mels."""
        return f"{self.name}.npy"

    @property
    def stems_name(self) -> str:
        """Name of the file of the stems' log-mels; it exists where `checksums` has it."""
        return f"{self.name}.stems.npy"

    @property
    def lines_name(self) -> str:
        """Name of the file that says what each clip is."""
        return f"{self.name}.jsonl"

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> ShardRecord:
        """Read back what `asdict` and JSON made of a record."""
        return ShardRecord(
            **{
                **fields,
                "clip_ids": tuple(fields["clip_ids"]),
                "labels": tuple(map(tuple, fields["labels"])),
                "soundfonts": tuple(map(tuple, fields["soundfonts"])),
            }
        )

    @staticmethod
    def from_json(data: bytes) -> ShardRecord:
        """Read a shard's `.json`."""
        return ShardRecord.from_dict(json.loads(data))


@dataclass(frozen=True)
class ShardClip:
    """What one clip contributes to its shard.

    Attributes
    ----------
    clip_id, line : str
        The line says what it is, as JSON.
    labels, soundfonts : tuple
        As in `ShardRecord`.
    level_db : ndarray of float16, shape (n_mels, n_frames)
    stem_level_db : ndarray of float16, shape (n_stems, n_mels, n_frames), optional
    members : mapping of str to bytes
        Files of the tar; none where sound is not kept.
    """

    clip_id: str
    line: str
    labels: tuple[int, ...]
    soundfonts: tuple[str, ...]
    level_db: NDArray[np.float16]
    stem_level_db: NDArray[np.float16] | None = None
    members: Mapping[str, bytes] = field(default_factory=dict)


class ShardWriter:
    """Collects the clips of a shard in memory and writes its files, the record last.

    Parameters
    ----------
    name : str
    split : {"train", "validation"}
    """

    def __init__(self, name: str, split: Split) -> None:
        self.name, self.split = name, split
        self._clips: list[ShardClip] = []
        self._archive = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._archive, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._has_members = False

    def add(self, clip: ShardClip) -> None:
        """Add a clip; its place is the order of adding."""
        for name, data in clip.members.items():
            entry = tarfile.TarInfo(name)  # time, owner and mode stay zero: equal clips, equal bytes
            entry.size = len(data)
            self._tar.addfile(entry, io.BytesIO(data))
            self._has_members = True
        self._clips.append(clip)

    def write(self, storage: Storage) -> ShardRecord:
        """Write the shard.

        Returns
        -------
        ShardRecord

        Raises
        ------
        StorageError
            When the disk is full; what exists of the shard is no shard yet.
        """
        clips = self._clips
        files = {
            f"{self.name}.npy": _npy(np.stack([clip.level_db for clip in clips])),
            f"{self.name}.jsonl": "".join(f"{clip.line}\n" for clip in clips).encode(),
        }
        stems = [clip.stem_level_db for clip in clips if clip.stem_level_db is not None]
        if stems:
            files[f"{self.name}.stems.npy"] = _npy(np.concatenate(stems))
        self._tar.close()
        if self._has_members:
            files[f"{self.name}.tar"] = self._archive.getvalue()
        for name, data in files.items():
            storage.write_whole(name, data)
        record = ShardRecord(
            self.name,
            self.split,
            tuple(clip.clip_id for clip in clips),
            tuple(clip.labels for clip in clips),
            tuple(clip.soundfonts for clip in clips),
            machine_kind(),
            {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        )
        storage.write_whole(f"{self.name}.json", json.dumps(asdict(record), separators=(",", ":")).encode())
        return record


def read_record(storage: Storage, name: str) -> ShardRecord | None:
    """Look whether one shard is complete: its record, or None."""
    if not storage.exists(f"{name}.json"):
        return None
    record = ShardRecord.from_json(storage.read(f"{name}.json"))
    return record if all(map(storage.exists, record.checksums)) else None


def read_records(storage: Storage, names: frozenset[str]) -> dict[str, ShardRecord]:
    """Look which shards are complete.

    Parameters
    ----------
    storage : Storage
    names : frozenset of str
        Shards to look for.

    Returns
    -------
    dict of str to ShardRecord
        By name; a shard whose record or one of whose files is missing is left out.
    """
    present = set(storage.list())
    wanted = sorted(f"{name}.json" for name in names if f"{name}.json" in present)
    records = [ShardRecord.from_json(data) for data in storage.read_many(wanted).values()]
    return {record.name: record for record in records if present.issuperset(record.checksums)}


def _npy(array: NDArray[np.float16]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
