"""Soft masks from relevance maps: which cells of a recording are an instrument's evidence.

A mask lies in 0..1 on the grid of the maps, `(n_mels, n_frames)`. Three steps make it:

* the positive part of a map is smoothed, so that the mask has no single-cell holes;
* it is levelled over time. A network that pools over time by a soft maximum puts nearly all relevance on its
  few most convincing moments; a mask made of that leaves every other note in place, and the instrument is
  heard from those. What counts is therefore each moment's *distribution* of relevance over frequency: a
  moment is divided by its own total, but for moments that hardly count at all;
* cells go to whoever claims them, as a Wiener filter shares energy: ``a^p / (a^p + sum_j b_j^p + t^p)``, with
  `a` the instrument's levelled map, `b_j` those of the other instruments, and `t` the level down to which the
  cells hold `kept_share` of `a`, so that what nobody claims is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

Levelled = NDArray[np.float64]  # (n_mels, n_frames), from 0, sum 1; all zero without positive relevance


@dataclass(frozen=True)
class MaskSettings:
    """How masks are made; the defaults were chosen by `scripts/compare_masks.py`.

    Attributes
    ----------
    kept_share : float
        Of the levelled relevance, in 0..1, lies above the mask's half-way level where nobody else claims it.
    sharpness : float
        The exponent `p`: 1 is gentle, 8 nearly a switch.
    smoothing_bands, smoothing_frames : float
        Standard deviations of the Gaussian.
    levelling_frames : float
        Standard deviation of the Gaussian over which a moment's total is taken.
    levelling_floor : float
        Moments whose total is this share of the largest count half.
    most_maps : int
        Maps that a mask may be made from (`ml.audible`).
    """

    kept_share: float = 0.95
    sharpness: float = 2.0
    smoothing_bands: float = 1.0
    smoothing_frames: float = 2.0
    levelling_frames: float = 10.0
    levelling_floor: float = 0.02
    most_maps: int = 3


DEFAULT_MASK = MaskSettings()


def levelled(relevance: NDArray[np.floating], settings: MaskSettings = DEFAULT_MASK) -> Levelled:
    """Smooth the positive part of a map and let every moment count alike.

    Parameters
    ----------
    relevance : ndarray, shape (n_mels, n_frames)
    settings : MaskSettings

    Returns
    -------
    ndarray of float64, same shape
        From 0, with sum 1; all zero for a map without positive relevance. A map's scale does not matter.
    """
    positive: Levelled = np.maximum(relevance, 0.0).astype(np.float64)
    if not positive.any():
        return positive
    smooth = gaussian_filter(
        positive / positive.max(), (settings.smoothing_bands, settings.smoothing_frames), mode="constant"
    )
    totals = gaussian_filter1d(smooth.sum(axis=0), settings.levelling_frames)  # (n_frames,)
    level = smooth / (totals + settings.levelling_floor * totals.max())
    shares: Levelled = level / level.sum()
    return shares


def evidence_mask(
    evidence: Levelled, others: Sequence[Levelled] = (), settings: MaskSettings = DEFAULT_MASK
) -> NDArray[np.float32]:
    """A soft mask for one instrument beside others.

    Parameters
    ----------
    evidence : ndarray of float64, shape (n_mels, n_frames)
        The instrument's levelled map, or the sum of several.
    others : sequence of ndarray, each of the same shape
        Levelled maps of the other instruments.
    settings : MaskSettings

    Returns
    -------
    ndarray of float32, same shape
        In 0..1; all zero without evidence.
    """
    if not evidence.any():
        return np.zeros(evidence.shape, dtype=np.float32)
    level, power = _level_of_share(evidence, settings.kept_share), settings.sharpness
    rivals = np.full(evidence.shape, level**power) + sum(other**power for other in others)
    claimed = evidence**power
    mask = np.divide(claimed, claimed + rivals, out=np.zeros_like(claimed), where=claimed > 0.0)
    return mask.astype(np.float32)


def _level_of_share(evidence: Levelled, share: float) -> float:
    """The level down to which the highest cells hold a share of the sum."""
    total = evidence.sum()
    # All cells below this hold less than the rest of the sum together: the level lies above it.
    least = (1.0 - share) * total / evidence.size
    falling = np.sort(evidence[evidence >= least])[::-1]
    place = int(np.searchsorted(np.cumsum(falling), share * total))
    return float(falling[min(place, len(falling) - 1)])
