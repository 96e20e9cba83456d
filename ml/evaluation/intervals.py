"""Bootstrap intervals: how far a figure could be off because these clips were drawn and not others.

Clips are resampled with replacement, which is the same as giving each clip a whole-number weight; so a
*statistic* is a function from weights `(n_resamplings, n_clips)` to values `(n_resamplings,)`, and all
resamplings are one matrix product. Intervals are 95 % percentile intervals (Efron and Tibshirani, *An
Introduction to the Bootstrap*, 1993, chapter 13). Two models that heard the same clips are compared with the
same weights, so what is hard for both cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_RESAMPLINGS = 1_000
INTERVAL_PERCENT = (2.5, 97.5)

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(statistic: Statistic, n_clips: int, rng: np.random.Generator) -> Interval:
    """A statistic of some clips with its 95 % percentile interval over clips.

    Parameters
    ----------
    statistic : callable
        From weights, ndarray of float64, shape (n_resamplings, n_clips), to values (n_resamplings,); NaN
        where a resampling leaves it undefined.
    n_clips : int
        At least 1.
    rng : numpy.random.Generator

    Returns
    -------
    Interval
        NaN throughout where the statistic is undefined for the clips themselves.
    """
    value = float(statistic(np.ones((1, n_clips)))[0])
    if np.isnan(value):
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.nanpercentile(statistic(_resampled(n_clips, rng)), INTERVAL_PERCENT)
    return Interval(value, float(low), float(high))


def difference(first: Statistic, second: Statistic) -> Statistic:
    """The statistic `first - second` of the same clips: bootstrapped, it is the paired difference."""
    return lambda weights: first(weights) - second(weights)


def weighted_mean(values: NDArray[np.floating] | NDArray[np.bool_]) -> Statistic:
    """The mean of one value per clip.

    Parameters
    ----------
    values : ndarray, shape (n_clips,)
        NaN for clips that do not count.
    """
    counts = ~np.isnan(values.astype(np.float64))
    filled = np.where(counts, values, 0.0)
    return lambda weights: _ratio(weights @ filled, weights @ counts.astype(np.float64))


def weighted_f1(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Statistic:
    """F1 of one label, or micro-F1 over several.

    Parameters
    ----------
    truth, predicted : ndarray of bool, shape (n_clips,) or (n_clips, n_labels)
        F1 is undefined where the label neither plays nor is reported.
    """
    rows = len(truth)
    hits = (truth & predicted).reshape(rows, -1).sum(axis=1)
    named = truth.reshape(rows, -1).sum(axis=1) + predicted.reshape(rows, -1).sum(axis=1)
    return lambda weights: _ratio(2.0 * (weights @ hits), weights @ named)


def weighted_macro_f1(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Statistic:
    """Mean F1 over the labels that occur (`ml.evaluation.metrics`).

    Parameters
    ----------
    truth, predicted : ndarray of bool, shape (n_clips, n_labels)
    """
    hits, true, said = ((part * 1.0) for part in (truth & predicted, truth, predicted))

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        occurrences = weights @ true  # (n_resamplings, n_labels)
        f1 = 2.0 * (weights @ hits) / np.maximum(occurrences + weights @ said, 1.0)
        occurs = occurrences > 0.0
        return _ratio((f1 * occurs).sum(axis=1), occurs.sum(axis=1).astype(np.float64))

    return statistic


def _resampled(n_clips: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each resampling draws each clip, `(N_RESAMPLINGS, n_clips)`."""
    drawn = rng.integers(n_clips, size=(N_RESAMPLINGS, n_clips))
    places = drawn + np.arange(N_RESAMPLINGS)[:, None] * n_clips
    counts = np.bincount(places.ravel(), minlength=N_RESAMPLINGS * n_clips)
    return counts.reshape(N_RESAMPLINGS, n_clips).astype(np.float64)


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotient, NaN where the denominator is 0."""
    result: NDArray[np.float64] = np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0.0
    )
    return result
