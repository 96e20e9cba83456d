"""Confusion between instruments where several play at once.

With several labels per clip there is no table of "said j instead of i". What can be counted is how often j
is reported *although it does not play* while i does: `reported[i, j]`, over the clips in which i plays and j
does not. An instrument that is reported out of the blue is so whoever plays; therefore the rate over all
clips without j, `added[j]`, stands beside it: i causes the mistake where `reported[i, j]` is well above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """Who is reported although it does not play; NaN where there are no such clips.

    Attributes
    ----------
    reported : ndarray of float64, shape (n_labels, n_labels)
        `[i, j]`: share of the clips with i and without j in which j is reported. The diagonal is NaN.
    n_clips : ndarray of int64, shape (n_labels, n_labels)
        How many such clips there are.
    added : ndarray of float64, shape (n_labels,)
        Share of the clips without j in which j is reported, whoever plays.
    missed : ndarray of float64, shape (n_labels,)
        Share of the clips with i in which i is not reported.
    """

    reported: NDArray[np.float64]
    n_clips: NDArray[np.int64]
    added: NDArray[np.float64]
    missed: NDArray[np.float64]


def confusion(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Confusion:
    """Count who is reported in whose presence.

    Parameters
    ----------
    truth, predicted : ndarray of bool, shape (n_clips, n_labels)

    Returns
    -------
    Confusion
    """
    plays = truth.astype(np.int64)
    absent = 1 - plays
    false_alarm = absent * predicted
    n_clips = plays.T @ absent  # (n_labels, n_labels); its diagonal is 0
    return Confusion(
        reported=_share(plays.T @ false_alarm, n_clips),
        n_clips=n_clips,
        added=_share(false_alarm.sum(axis=0), absent.sum(axis=0)),
        missed=_share((plays * ~predicted).sum(axis=0), plays.sum(axis=0)),
    )


def _share(counted: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(of > 0, counted / np.maximum(of, 1), np.nan)
