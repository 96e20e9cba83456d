"""Calibration: do probabilities mean what they say? Of clips given 0.8, eight in ten should have it.

The expected calibration error is the mean distance between the probability and the share of clips in which
the instrument plays, over bins of clips, each weighted by its clips. Two kinds of bins, 15 each:

- *equal width* (Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017, eq. 3);
- *equal mass*, between quantiles of the probabilities (Nixon et al., *Measuring Calibration in Deep
  Learning*, CVPR workshops 2019), which is the error reported for an instrument: most probabilities lie near
  0 or 1, where bins of equal width cannot see. Equal probabilities share a bin.

Both are a little too high for few clips, since chance alone keeps a bin's share from its probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_BINS = 15
N_DIAGRAM_BINS = 10  # fewer, so that a diagram's points hold enough clips
WILSON_Z = 1.959964  # two-sided 95 % of the normal distribution


@dataclass(frozen=True)
class CalibrationErrors:
    """Expected calibration errors.

    Attributes
    ----------
    per_label : ndarray of float64, shape (n_labels,)
        Of equal mass.
    mean : float
        Over the labels.
    pooled_equal_mass, pooled_equal_width : float
        Of all pairs of clip and label together.
    """

    per_label: NDArray[np.float64]
    mean: float
    pooled_equal_mass: float
    pooled_equal_width: float


@dataclass(frozen=True)
class ReliabilityBin:
    """One point of a reliability diagram.

    Attributes
    ----------
    mean_probability : float
        Of the pairs of clip and label in the bin.
    share : float
        Of them in which the label is true, with its 95 % Wilson interval `low` to `high`.
    n : int
        Pairs in the bin.
    """

    mean_probability: float
    share: float
    low: float
    high: float
    n: int


def calibration_errors(truth: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> CalibrationErrors:
    """Expected calibration errors of probabilities.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_clips, n_labels)
    probabilities : ndarray of float, shape (n_clips, n_labels)

    Returns
    -------
    CalibrationErrors
    """
    per_label = np.array(
        [equal_mass_error(truth[:, label], probabilities[:, label]) for label in range(truth.shape[1])]
    )
    return CalibrationErrors(
        per_label,
        float(per_label.mean()),
        equal_mass_error(truth.ravel(), probabilities.ravel()),
        equal_width_error(truth.ravel(), probabilities.ravel()),
    )


def equal_mass_error(truth: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> float:
    """Expected calibration error over bins between quantiles.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probabilities : ndarray of float, shape (n,)
    """
    edges = np.quantile(probabilities, np.linspace(0.0, 1.0, N_BINS + 1))
    return _binned_error(truth, probabilities, edges[1:-1])


def equal_width_error(truth: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> float:
    """Expected calibration error over bins of equal width.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probabilities : ndarray of float, shape (n,)
    """
    return _binned_error(truth, probabilities, np.linspace(0.0, 1.0, N_BINS + 1)[1:-1])


def reliability_bins(
    truth: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> tuple[ReliabilityBin, ...]:
    """The points of a reliability diagram, over bins of equal width that hold anything.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_clips, n_labels)
    probabilities : ndarray of float, shape (n_clips, n_labels)

    Returns
    -------
    tuple of ReliabilityBin
        By rising probability.
    """
    true, given = truth.ravel(), probabilities.ravel().astype(np.float64)
    which = np.searchsorted(np.linspace(0.0, 1.0, N_DIAGRAM_BINS + 1)[1:-1], given)
    bins = []
    for index in np.unique(which):
        inside = which == index
        n, share = int(inside.sum()), float(true[inside].mean())
        low, high = _wilson(share, n)
        bins.append(ReliabilityBin(float(given[inside].mean()), share, low, high, n))
    return tuple(bins)


def _binned_error(
    truth: NDArray[np.bool_], probabilities: NDArray[np.floating], inner_edges: NDArray[np.float64]
) -> float:
    which = np.searchsorted(inner_edges, probabilities)
    surplus = np.bincount(which, weights=probabilities.astype(np.float64) - truth)
    return float(np.abs(surplus).sum() / len(truth))


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    z2 = WILSON_Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = WILSON_Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))
