"""Parts: the sounds of one instrument each that training examples are mixed from.

A data set of solos is a collection of parts. Mixing them anew for every example gives each combination of
instruments, SoundFonts, registers and levels without rendering it, and since the parts are known, so is the
truth: which instrument sounds when, and which cells of the spectrogram are whose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.dataset.manifest import InvalidDatasetError
from ml.dataset.reader import SplitReader


@dataclass(frozen=True)
class PartGroup:
    """The parts of one label that one SoundFont plays: their positions among all parts."""

    soundfont: str
    members: NDArray[np.intp]


@dataclass(frozen=True)
class Parts:
    """Sounds with one label each.

    Attributes
    ----------
    reader : SplitReader
        Where they lie.
    indices : ndarray of int, shape (n_parts,)
        Each part's clip in the reader.
    labels : ndarray of int, shape (n_parts,)
        Each part's label.
    groups : mapping of int to tuple of PartGroup
        By label: its parts, SoundFont by SoundFont.
    """

    reader: SplitReader
    indices: NDArray[np.intp]
    labels: NDArray[np.intp]
    groups: Mapping[int, tuple[PartGroup, ...]]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def n_labels(self) -> int:
        """Labels of the data set, also those that no part has."""
        return len(self.reader.label_names)

    def levels_db(self, chosen: NDArray[np.intp]) -> NDArray[np.float16]:
        """Log-mels of some parts, `(len(chosen), n_mels, n_frames)`."""
        return self.reader.clips(self.indices[chosen])


def find_parts(reader: SplitReader, soundfonts: frozenset[str] | None = None) -> Parts:
    """The clips of a split in which one instrument plays.

    Parameters
    ----------
    reader : SplitReader
    soundfonts : frozenset of str, optional
        Only parts played by these; by default all.

    Returns
    -------
    Parts

    Raises
    ------
    InvalidDatasetError
        When there is none.
    """
    chosen = reader.labels.sum(axis=1) == 1
    if soundfonts is not None:
        chosen &= np.isin(reader.soundfonts, sorted(soundfonts))
    indices = np.flatnonzero(chosen)
    if len(indices) == 0:
        played_by = "" if soundfonts is None else f" played by {', '.join(sorted(soundfonts))}"
        raise InvalidDatasetError(
            f"Remixing needs clips of one instrument each, and the data set has none{played_by}."
        )
    labels = reader.labels[indices].argmax(axis=1)
    played_by_font = reader.soundfonts[indices]
    groups = {
        int(label): tuple(
            PartGroup(str(font), np.flatnonzero((labels == label) & (played_by_font == font)))
            for font in np.unique(played_by_font[labels == label])
        )
        for label in np.unique(labels)
    }
    return Parts(reader, indices, labels, groups)


@dataclass(frozen=True)
class Cast:
    """Which parts make which examples: `part[i]` plays in example `example[i]`, `(n_drawn,)` each."""

    part: NDArray[np.intp]
    example: NDArray[np.intp]
    n_examples: int


def draw_cast(
    parts: Parts,
    n_examples: int,
    number_weights: tuple[float, ...],
    soundfont_weights: Mapping[str, float],
    rng: np.random.Generator,
) -> Cast:
    """Draw the parts of examples: how many, which labels, which SoundFont, which clip.

    Parameters
    ----------
    parts : Parts
    n_examples : int
    number_weights : tuple of float
        Relative chance of 1, 2, ... parts per example; at most one of each label, labels drawn evenly.
    soundfont_weights : mapping of str to float
        Relative chance of each SoundFont among those that play a label; 1 where none is named.
    rng : numpy.random.Generator

    Returns
    -------
    Cast
    """
    playable = sorted(parts.groups)
    weights = np.array(number_weights[: len(playable)])
    part: list[int] = []
    example: list[int] = []
    for index in range(n_examples):
        n_parts = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
        for label in rng.choice(playable, size=n_parts, replace=False):
            groups = parts.groups[int(label)]
            chances = np.array([soundfont_weights.get(group.soundfont, 1.0) for group in groups])
            members = groups[int(rng.choice(len(groups), p=chances / chances.sum()))].members
            part.append(int(members[rng.integers(len(members))]))
            example.append(index)
    return Cast(np.array(part), np.array(example), n_examples)
