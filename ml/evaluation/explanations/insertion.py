"""How much of a logit the most relevant tenth of a window brings back: insertion in its cheap form.

All active patches (`ml.truth.patches`) lie at the noise floor; the most relevant `FRACTION` of them are given
back. What the logit regains, of all that it would regain with every patch, is the answer. The whole curves of
a few maps are `ml.truth.faithfulness.faithfulness_curves`; this costs one forward pass for each map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.model import Model
from ml.truth.faithfulness import FRACTION
from ml.truth.patches import active_patches, noise_floor, patch_sums, without_patches


@dataclass(frozen=True)
class InsertionScores:
    """By how much a logit rises from the emptied window.

    Attributes
    ----------
    regained : float
        With the most relevant patches given back.
    possible : float
        With all of them.
    """

    regained: float
    possible: float


def insertions(
    model: Model, inputs: NDArray[np.floating], labels: Sequence[int], relevance: NDArray[np.floating]
) -> tuple[InsertionScores, ...]:
    """Give back what matters most.

    Parameters
    ----------
    model : Model
    inputs : ndarray of float32, shape (n_windows, n_mels, n_frames)
        Scaled, those with sound.
    labels : sequence of int
    relevance : ndarray, shape (n_labels, n_windows, n_mels, n_frames)
        Each label's map of each window.

    Returns
    -------
    tuple of InsertionScores
        One for each label, means over windows; zeros for no windows.
    """
    rises = np.zeros((len(labels), 2))
    for place, window in enumerate(inputs):
        active, floor = active_patches(window, model.mel), noise_floor(window, model.mel)
        n_given = int(np.ceil(FRACTION * active.sum() - 1e-9))
        without = np.stack([active, *(active & ~_first(maps[place], active, n_given) for maps in relevance)])
        heard = np.concatenate([window[None], without_patches(window, floor, without)])
        logits = model.logits(heard).astype(np.float64)[:, list(labels)]
        rises[:, 0] += np.diagonal(logits[2:]) - logits[1]
        rises[:, 1] += logits[0] - logits[1]
    means = rises / max(1, len(inputs))
    return tuple(InsertionScores(float(regained), float(possible)) for regained, possible in means)


def _first(relevance: NDArray[np.floating], active: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """The `n` active patches of largest relevance, `(n_rows, n_columns)`."""
    falling = np.argsort(np.where(active, -patch_sums(relevance), np.inf), axis=None, kind="stable")
    first = np.zeros(active.size, dtype=bool)
    first[falling[:n]] = True
    return first.reshape(active.shape)
