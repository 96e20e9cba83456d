"""Reading a data set for training: log-mels by index, from memory-mapped shards, in an order drawn per epoch.

Nothing is held in memory but the pages the system caches. Labels come from the instantiated recipe
(`clips.jsonl`), never from the sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.dataset.manifest import InvalidDatasetError, Manifest
from ml.synthesis.instantiate import ClipPlan, Split


@dataclass(frozen=True)
class Batch:
    """Log-mel levels in dB, float16 `(n, n_mels, n_frames)`, and labels, bool `(n, n_labels)`."""

    level_db: NDArray[np.float16]
    labels: NDArray[np.bool_]


class SplitReader:
    """One split of a data set.

    Parameters
    ----------
    folder : Path
        A finished data set.
    split : {"train", "validation"}

    Raises
    ------
    InvalidDatasetError
        When the folder holds no finished data set, a shard is missing, or the split is empty.
    """

    def __init__(self, folder: Path, split: Split) -> None:
        self.manifest = Manifest.read(folder)
        self.label_names = self.manifest.recipe.labels
        plans = _read_plans(folder)
        records = [record for record in self.manifest.shards if record.split == split]
        if not records:
            raise InvalidDatasetError(f"The data set in {folder} has no {split} clips.")
        self._shards = [_open_shard(folder / f"{record.name}.npy") for record in records]
        self.plans = tuple(plans[clip_id] for record in records for clip_id in record.clip_ids)
        self._offsets = np.cumsum([0] + [len(record.clip_ids) for record in records])
        self.labels = np.array([[name in plan.labels for name in self.label_names] for plan in self.plans])

    def __len__(self) -> int:
        return len(self.plans)

    def batches(self, batch_size: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Iterate over the split once.

        Parameters
        ----------
        batch_size : int
            The last batch may be smaller.
        rng : numpy.random.Generator, optional
            Draws the order; without it, clips come in shard order.
        """
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            yield Batch(np.stack([self._clip(int(index)) for index in chosen]), self.labels[chosen])

    def _clip(self, index: int) -> NDArray[np.float16]:
        shard = int(np.searchsorted(self._offsets, index, side="right")) - 1
        clip: NDArray[np.float16] = self._shards[shard][index - self._offsets[shard]]
        return clip


def _read_plans(folder: Path) -> dict[str, ClipPlan]:
    with (folder / "clips.jsonl").open(encoding="utf-8") as lines:
        return {plan.clip_id: plan for plan in map(ClipPlan.from_json, lines)}


def _open_shard(path: Path) -> NDArray[np.float16]:
    if not path.is_file():
        raise InvalidDatasetError(f"The shard {path} is missing; build the data set again to restore it.")
    shard: NDArray[np.float16] = np.load(path, mmap_mode="r", allow_pickle=False)
    return shard
