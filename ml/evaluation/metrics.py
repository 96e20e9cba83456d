"""Multi-label metrics: F1 per label and over labels, and the thresholds that maximise it.

Arrays are `(n_clips, n_labels)`. Definitions are scikit-learn's; a label that neither occurs nor is predicted
scores 0, except that macro-F1 here is over the labels that occur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.05, 0.95
_THRESHOLD_GRID = np.linspace(LOWEST_THRESHOLD, HIGHEST_THRESHOLD, 91)


@dataclass(frozen=True)
class F1Scores:
    """Macro-F1 over the labels that occur, micro-F1, and F1 per label `(n_labels,)`."""

    macro: float
    micro: float
    per_label: NDArray[np.float64]


def f1_scores(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> F1Scores:
    """F1 of predictions.

    Parameters
    ----------
    truth, predicted : ndarray of bool, shape (n_clips, n_labels)

    Returns
    -------
    F1Scores
    """
    from sklearn.metrics import f1_score  # half a second to import, for trainings and reports alone

    per_label = np.atleast_1d(f1_score(truth, predicted, average=None, zero_division=0.0))
    occurs = truth.any(axis=0)
    macro = float(per_label[occurs].mean()) if occurs.any() else 0.0
    micro = float(f1_score(truth, predicted, average="micro", zero_division=0.0))
    return F1Scores(macro, micro, per_label)


def common_threshold(truth: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> float:
    """The one probability from which all labels together are best counted as present.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_clips, n_labels)
    probabilities : ndarray of float, shape (n_clips, n_labels)

    Returns
    -------
    float
        The middle of the thresholds with the highest macro-F1, in 0.05..0.95 in steps of 0.01.
    """
    macro = np.array([f1_scores(truth, probabilities >= threshold).macro for threshold in _THRESHOLD_GRID])
    return round(float(np.median(_THRESHOLD_GRID[macro == macro.max()])), 3)


def best_thresholds(truth: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """The probability from which each label is best counted as present.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_clips, n_labels)
    probabilities : ndarray of float, shape (n_clips, n_labels)

    Returns
    -------
    ndarray of float64, shape (n_labels,)
        The middle of the thresholds with the highest F1, in 0.05..0.95 in steps of 0.01; 0.5 for a label that
        never occurs.
    """
    thresholds = np.full(truth.shape[1], 0.5)
    for label in np.flatnonzero(truth.any(axis=0)):
        predicted = probabilities[:, label, None] >= _THRESHOLD_GRID  # (n_clips, n_thresholds)
        hits = (predicted & truth[:, label, None]).sum(axis=0)
        f1 = 2 * hits / (predicted.sum(axis=0) + truth[:, label].sum())
        thresholds[label] = round(float(np.median(_THRESHOLD_GRID[f1 == f1.max()])), 3)
    return thresholds
