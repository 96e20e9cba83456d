"""Reading a data set for training: log-mels by index, in an order drawn per epoch, memory flat at any size.

Clips are read from the shards' files at their offsets, exactly those asked for. Nothing is mapped into
memory, so what the system caches of the files never counts as this process's. In memory are labels
and ids, some 100 bytes per clip; what each clip is (`plan`, `line`) is read when asked for.
Shards of a data set elsewhere are fetched when first needed, checked, and kept in the local cache.

Labels come from the instantiated recipe, or from the folders of the recordings, never from the sound.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.dataset.manifest import InvalidDatasetError, Manifest, RecipeSource
from ml.dataset.shards import ShardRecord
from ml.dataset.storage import Storage, open_storage
from ml.synthesis.plan import ClipPlan, Split

PREFETCHED_BATCHES = 2


@dataclass(frozen=True)
class Batch:
    """Log-mel levels in dB, float16 `(n, n_mels, n_frames)`, and labels, bool `(n, n_labels)`."""

    level_db: NDArray[np.float16]
    labels: NDArray[np.bool_]


class SplitReader:
    """One split of a data set.

    Parameters
    ----------
    place : str, Path or Storage
        A finished data set: a folder or URL.
    split : {"train", "validation"}

    Attributes
    ----------
    manifest : Manifest
    label_names : tuple of str
    labels : ndarray of bool, shape (n_clips, n_labels)
    clip_ids : tuple of str
    soundfonts : ndarray of str, shape (n_clips,)
        What plays each clip, the names joined by `+`; empty for recordings.
    n_frames : int
        Frames of every clip.

    Raises
    ------
    InvalidDatasetError
        When the place holds no finished data set, a shard is missing or cut off, or the split is empty.
    """

    def __init__(self, place: str | Path | Storage, split: Split) -> None:
        self.storage = open_storage(place)
        self.manifest = Manifest.read(self.storage)
        self.label_names = self.manifest.labels
        self.n_frames = self.manifest.n_frames
        self._records = [record for record in self.manifest.shards if record.split == split]
        if not self._records:
            raise InvalidDatasetError(f"The data set in {self.storage} has no {split} clips.")
        _require_all(self._records, self.storage)
        self.clip_ids = tuple(clip_id for record in self._records for clip_id in record.clip_ids)
        self.soundfonts = np.array(["+".join(of_clip) for r in self._records for of_clip in r.soundfonts])
        self.labels = _label_rows([of_clip for r in self._records for of_clip in r.labels], self.label_names)
        self._first = np.cumsum([0, *map(len, self._records)])
        self._files: dict[str, _LevelsFile] = {}

    def __len__(self) -> int:
        return len(self.clip_ids)

    def batches(
        self, batch_size: int, rng: np.random.Generator | None = None, prefetch: int = PREFETCHED_BATCHES
    ) -> Iterator[Batch]:
        """Iterate over the split once.

        Parameters
        ----------
        batch_size : int
            The last batch may be smaller.
        rng : numpy.random.Generator, optional
            Draws the order; without it, clips come in shard order.
        prefetch : int
            Batches that a thread reads ahead while the caller works on another; 0 reads when asked.
        """
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        parts = [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
        if prefetch == 0:
            for part in parts:
                yield self._batch(part)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="clips") as background:
            pending: list[Future[Batch]] = [background.submit(self._batch, part) for part in parts[:prefetch]]
            try:
                for upcoming in range(prefetch, prefetch + len(parts)):
                    batch = pending.pop(0).result()
                    if upcoming < len(parts):
                        pending.append(background.submit(self._batch, parts[upcoming]))
                    yield batch
            finally:
                for future in pending:
                    future.cancel()

    def clips(self, indices: ArrayLike) -> NDArray[np.float16]:
        """Log-mels of some clips.

        Parameters
        ----------
        indices : array_like of int, shape (n,)
            In any order; one may be asked for twice.

        Returns
        -------
        ndarray of float16, shape (n, n_mels, n_frames)

        Raises
        ------
        StorageError
            When a shard cannot be read.
        """
        wanted = self._checked(indices)
        levels = np.empty((len(wanted), self.manifest.mel.n_mels, self.n_frames), dtype=np.float16)
        order = np.argsort(wanted, kind="stable")  # the disk's order
        for place, shard in zip(order, self._shards_of(wanted[order]), strict=True):
            record = self._records[shard]
            self._file(record, record.levels_name).read_into(
                levels[place], wanted[place] - self._first[shard]
            )
        return levels

    def stem_clips(self, index: int) -> tuple[NDArray[np.float16], tuple[int, ...]]:
        """Log-mels of a clip's stems, where the data set keeps them.

        Parameters
        ----------
        index : int

        Returns
        -------
        levels : ndarray of float16, shape (n_stems, n_mels, n_frames)
        labels : tuple of int
            Which label each stem is.

        Raises
        ------
        InvalidDatasetError
            When the data set was made without stems.
        """
        (wanted,) = self._checked([index])
        (shard,) = self._shards_of(np.array([wanted]))
        record, position = self._records[shard], int(wanted - self._first[shard])
        if record.stems_name not in record.checksums:
            raise InvalidDatasetError(f"The data set in {self.storage} was made without stems.")
        labels = record.labels[position]
        first = sum(map(len, record.labels[:position]))
        levels = np.empty((len(labels), self.manifest.mel.n_mels, self.n_frames), dtype=np.float16)
        file = self._file(record, record.stems_name)
        for stem in range(len(labels)):
            file.read_into(levels[stem], first + stem)
        return levels, labels

    def line(self, index: int) -> str:
        """What a clip is, as JSON: its plan, or where it was cut from."""
        (wanted,) = self._checked([index])
        (shard,) = self._shards_of(np.array([wanted]))
        record = self._records[shard]
        path = self.storage.local_path(record.lines_name, record.checksums[record.lines_name])
        with path.open(encoding="utf-8") as lines:
            for position, line in enumerate(lines):
                if position == wanted - self._first[shard]:
                    return line
        raise InvalidDatasetError(f"{path} is cut off.")

    def plan(self, index: int) -> ClipPlan:
        """The plan of a clip; raises `InvalidDatasetError` for recordings, which have none."""
        if not isinstance(self.manifest.source, RecipeSource):
            raise InvalidDatasetError(f"The clips of {self.storage} are recordings and have no plans.")
        return ClipPlan.from_json(self.line(index))

    def _batch(self, indices: NDArray[np.intp]) -> Batch:
        return Batch(self.clips(indices), self.labels[indices])

    def _checked(self, indices: ArrayLike) -> NDArray[np.intp]:
        wanted = np.asarray(indices, dtype=np.intp)
        if wanted.ndim != 1 or (wanted < 0).any() or (wanted >= len(self)).any():
            raise IndexError(f"Clips are counted 0 to {len(self) - 1}; asked for {wanted}.")
        return wanted

    def _shards_of(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.searchsorted(self._first, indices, side="right") - 1

    def _file(self, record: ShardRecord, name: str) -> _LevelsFile:
        if name not in self._files:
            path = self.storage.local_path(name, record.checksums[name])
            self._files[name] = _LevelsFile(path, (self.manifest.mel.n_mels, self.n_frames))
        return self._files[name]


class _LevelsFile:
    """A .npy file of float16 `(n, *shape)`, read item by item without keeping it open or mapped."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self._path = path
        with path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            found, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            self._offset = stream.tell()
        if found[1:] != shape or is_fortran or dtype != np.float16:
            raise InvalidDatasetError(
                f"{path} holds {dtype} {found}, not float16 (n, {shape[0]}, {shape[1]})."
            )

    def read_into(self, item: NDArray[np.float16], position: int) -> None:
        """Read item `position` into a contiguous array."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            n_read = os.preadv(descriptor, [item.data.cast("B")], self._offset + int(position) * item.nbytes)
        finally:
            os.close(descriptor)
        if n_read != item.nbytes:
            raise InvalidDatasetError(f"{self._path} is cut off: clip {position} has {n_read} bytes.")


def _label_rows(labels: list[tuple[int, ...]], names: tuple[str, ...]) -> NDArray[np.bool_]:
    rows = np.zeros((len(labels), len(names)), dtype=np.bool_)
    for row, of_clip in zip(rows, labels, strict=True):
        row[list(of_clip)] = True
    return rows


def _require_all(records: list[ShardRecord], storage: Storage) -> None:
    present = set(storage.list())
    for record in records:
        missing = record.checksums.keys() - present
        if missing:
            raise InvalidDatasetError(
                f"{storage}/{min(missing)} is missing; build the data set again to restore it."
            )
