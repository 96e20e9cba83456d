"""Clips of a finished data set, heard from their cached log-mels.

A log-mel is cut into windows as that of a recording would be; sound is kept with a data set only on request,
and log-mels always.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.classification import Classification, judge, listen_to_levels
from ml.dataset.reader import SplitReader
from ml.model import Model
from ml.synthesis.plan import Split
from ml.windows import cut_windows

SPLIT: Split = "validation"  # what a model may have been trained on is no test


@dataclass(frozen=True)
class StoredClip:
    """A clip of the validation part of the data set at `place`, by its index there."""

    clip_id: str
    place: str
    index: int
    playing: frozenset[str]

    def classifications(self, models: Sequence[Model]) -> tuple[Classification, ...]:
        """What each model says of it; all are of the data set's mel configuration."""
        levels = _opened(self.place).clips([self.index])[0].astype(np.float32)
        return tuple(_judged(model, levels) for model in models)


def _judged(model: Model, levels: NDArray[np.float32]) -> Classification:
    duration_s = (levels.shape[1] - 1) * model.mel.hop_samples / model.mel.sample_rate_hz
    return judge(model, listen_to_levels(model, levels, cut_windows(duration_s, model.mel)), 0.0, None)


@functools.lru_cache(maxsize=4)
def _opened(place: str) -> SplitReader:
    """A data set, opened once per process."""
    return SplitReader(place, SPLIT)
