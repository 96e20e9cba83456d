"""Remixing: parts become training examples whose truth is known.

Powers of unrelated sounds add up on average, so the mel spectrogram of a mix is close to the sum of its
parts' mel spectrograms, and everything here happens in that domain: tensors of power are `(n_parts, n_mels,
n_frames)` for parts and `(n_examples, n_mels, n_frames)` for mixes, levels are in dB.

Truth: a part *owns* the cell ``(f, t)`` by the share ``m_c = P_c / sum_j P_j`` of its power in the mix. It is
*heard* in a cell that lies within `ACTIVE_DB` of the mix's peak and of which it owns more than `HEARD_SHARE`;
it sounds in an evidence step (some frames of the network) in which enough such cells are its own, and its
label is true if it sounds at all. Steps with few such cells are left undecided. The
shares of one part of each of some examples are given cell by cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.training.augment import Augmentation, change_mixes, change_parts, hide, power_of, reverberate
from ml.training.parts import Parts, draw_cast
from ml.training.relevance_loss import CellTruth

ACTIVE_DB = 60.0
HEARD_SHARE = 0.25
HEARD_CELLS = 10  # of a whole example: fewer are no evidence that anybody could hear
SOUNDING_CELLS = 6  # of one step; 1 to 6 leave it undecided
UNDECIDED = -1.0
_LOWEST_POWER = 1e-10


@dataclass(frozen=True)
class RemixPlan:
    """How examples are mixed.

    Attributes
    ----------
    number_weights : tuple of float
        Relative chance of 1, 2, 3, ... instruments.
    soundfont_weights : mapping of str to float
        Relative chance of each SoundFont; 1 where none is named.
    gain_db : float
        Each part's gain is drawn from -gain_db..gain_db.
    n_frames : int
        Length of an example; of longer parts a stretch is drawn.
    frames_per_step : int
        Frames of one evidence step of the network.
    n_asked : int
        Of how many examples at most the cells of one instrument are said; 0 where they are not asked for.
    augmentation : Augmentation or None
        What happens to parts and mixes; None for the plain mix.
    """

    number_weights: tuple[float, ...]
    soundfont_weights: Mapping[str, float]
    gain_db: float
    n_frames: int
    frames_per_step: int
    n_asked: int
    augmentation: Augmentation | None


@dataclass(frozen=True)
class Examples:
    """Training examples and their truth.

    Attributes
    ----------
    levels_db : Tensor, shape (n, n_mels, n_frames)
    labels : Tensor, shape (n, n_labels)
        0 or 1.
    sounding : Tensor, shape (n, n_labels, n_steps)
        Whether each label sounds in each evidence step: 0, 1 or `UNDECIDED`; None where it is not known.
    cells : CellTruth or None
        None where it is not known or not asked for.
    """

    levels_db: Tensor
    labels: Tensor
    sounding: Tensor | None = None
    cells: CellTruth | None = None

    def to(self, device: torch.device) -> Examples:
        """The same on a device."""
        return Examples(
            self.levels_db.to(device),
            self.labels.to(device),
            None if self.sounding is None else self.sounding.to(device),
            None if self.cells is None else self.cells.to(device),
        )


def draw_examples(parts: Parts, n_examples: int, plan: RemixPlan, rng: np.random.Generator) -> Examples:
    """Mix examples.

    Parameters
    ----------
    parts : Parts
    n_examples : int
    plan : RemixPlan
    rng : numpy.random.Generator
        Decides everything.

    Returns
    -------
    Examples
    """
    cast = draw_cast(parts, n_examples, plan.number_weights, plan.soundfont_weights, rng)
    levels = _stretches(parts.levels_db(cast.part), plan.n_frames, rng)
    gains = torch.from_numpy(rng.uniform(-plan.gain_db, plan.gain_db, len(levels)).astype(np.float32))
    owner = torch.from_numpy(cast.example)
    labels = torch.from_numpy(parts.labels[cast.part])
    if plan.augmentation is not None:
        levels = change_parts(levels, plan.augmentation, rng)
    power = power_of(levels.add_(gains[:, None, None]))
    if plan.augmentation is not None:
        power = reverberate(power, owner, plan.augmentation, rng)
    mix = torch.zeros(n_examples, *power.shape[1:]).index_add_(0, owner, power)
    if plan.augmentation is not None:
        mix, power = change_mixes(mix, power, owner, plan.augmentation, rng)
    active = mix > mix.amax(dim=(1, 2), keepdim=True) * 10.0 ** (-ACTIVE_DB / 10.0)
    audible = torch.where(active, HEARD_SHARE * mix, math.inf)
    is_heard = power > audible.index_select(0, owner)
    heard = is_heard.sum(dim=1, dtype=torch.int32)  # bands, (n_drawn, n_frames)
    cells = None
    if plan.n_asked > 0:
        asked = _asked(heard, owner, n_examples, plan.n_asked, rng)
        cells = _cells(power[asked], mix[owner[asked]], active[owner[asked]], owner[asked], labels[asked])
    levels_db = 10.0 * torch.log10(mix.clamp_min(_LOWEST_POWER))
    if plan.augmentation is not None:
        levels_db = hide(levels_db, plan.augmentation, rng)
    return Examples(
        levels_db=levels_db,
        labels=_true_labels(heard, owner, labels, n_examples, parts.n_labels),
        sounding=_sounding(_steps(heard, plan.frames_per_step), owner, labels, n_examples, parts.n_labels),
        cells=cells,
    )


def _stretches(levels: NDArray[np.float16], n_frames: int, rng: np.random.Generator) -> Tensor:
    """A stretch of each part, drawn evenly; float32."""
    spare = levels.shape[2] - n_frames
    if spare <= 0:
        return torch.from_numpy(levels).float()
    starts = rng.integers(0, spare, size=len(levels), endpoint=True)
    cut = np.stack([part[:, start : start + n_frames] for part, start in zip(levels, starts, strict=True)])
    return torch.from_numpy(cut).float()  # torch widens many times faster than numpy


def _true_labels(heard: Tensor, owner: Tensor, labels: Tensor, n_examples: int, n_labels: int) -> Tensor:
    present = heard.sum(dim=1) > HEARD_CELLS
    truth = torch.zeros(n_examples, n_labels)
    truth[owner[present], labels[present]] = 1.0
    return truth


def _steps(heard: Tensor, frames_per_step: int) -> Tensor:
    """Cells heard in each evidence step, `(n_parts, n_steps)`."""
    n_parts, n_frames = heard.shape
    n_steps = n_frames // frames_per_step  # what remains is seen by no step of its own
    return heard[:, : n_steps * frames_per_step].reshape(n_parts, n_steps, frames_per_step).sum(dim=2)


def _sounding(cells: Tensor, owner: Tensor, labels: Tensor, n_examples: int, n_labels: int) -> Tensor:
    undecided = torch.where(cells > 0, UNDECIDED, 0.0)
    sounding = torch.zeros(n_examples, n_labels, cells.shape[1])
    sounding[owner, labels] = torch.where(cells > SOUNDING_CELLS, 1.0, undecided)
    return sounding


def _asked(heard: Tensor, owner: Tensor, n_examples: int, most: int, rng: np.random.Generator) -> Tensor:
    """Parts whose cells are asked for: one that is heard of each of some examples with several parts."""
    owners = owner.numpy()
    several = np.bincount(owners, minlength=n_examples) > 1
    drawn = rng.permutation(np.flatnonzero((heard.sum(dim=1).numpy() > HEARD_CELLS) & several[owners]))
    _, first = np.unique(owners[drawn], return_index=True)
    return torch.from_numpy(drawn[rng.permutation(first)[:most]])


def _cells(power: Tensor, mix: Tensor, active: Tensor, example: Tensor, label: Tensor) -> CellTruth:
    mix = mix.clamp_min(_LOWEST_POWER)
    share = (power / mix).clamp_(0.0, 1.0) * active
    below_peak_db = 10.0 * torch.log10(mix / mix.amax(dim=(1, 2), keepdim=True))
    return CellTruth(example, label, share, (1.0 + below_peak_db / ACTIVE_DB).clamp_min(0.0))
