"""Deletion and insertion curves of a set of maps, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.intervals import Interval, bootstrap, weighted_mean
from ml.truth.faithfulness import FRACTIONS, FaithfulnessCurves, mean_curves

ORDERS = ("relevance", "random", "loudest")
KINDS = ("deletion", "insertion")


@dataclass(frozen=True)
class Band:
    """Mean change of the logit at each of `FRACTIONS`, with 95 % intervals over clips; each `(n_fractions,)`.

    The change is from the whole clip's logit: clips differ by that far more than by what deletion does.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Bands:
    """Curves of some clips.

    Attributes
    ----------
    n_clips, n_maps : int
    fractions : tuple of float
    bands : mapping of str to mapping of str to Band
        `[kind][order]`.
    """

    n_clips: int
    n_maps: int
    fractions: tuple[float, ...]
    bands: dict[str, dict[str, Band]]


def bands_of(clips: Sequence[Sequence[FaithfulnessCurves]], seed: int) -> Bands | None:
    """Bands of clips' curves.

    Parameters
    ----------
    clips : sequence of sequence of FaithfulnessCurves
        By clip, by map; a clip's maps count together as one.
    seed : int
        Of the resamplings.

    Returns
    -------
    Bands or None
        None without any curve.
    """
    with_curves = [clip for clip in clips if clip]
    if not with_curves:
        return None
    bands: dict[str, dict[str, Band]] = {kind: {} for kind in KINDS}
    for order in ORDERS:
        means = [mean_curves([getattr(each, order) for each in clip]) for clip in with_curves]
        for kind in KINDS:
            bands[kind][order] = _band(
                np.stack([getattr(each, kind) - each.deletion[0] for each in means]), seed
            )
    return Bands(len(with_curves), sum(map(len, with_curves)), FRACTIONS, bands)


def _band(curves: NDArray[np.float64], seed: int) -> Band:
    """`curves` is `(n_clips, n_fractions)`."""
    intervals: list[Interval] = [
        bootstrap(weighted_mean(column), len(curves), np.random.default_rng([seed, 0xE7]))
        for column in curves.T
    ]
    return Band(*(np.array([getattr(each, name) for each in intervals]) for name in ("value", "low", "high")))
