"""Whether what a map says matters does matter to the network: deletion and insertion, no stems needed.

A window's active patches (`ml.truth.patches`) are put in an order: by falling relevance (its signed sum over
the patch), at random, or by falling power. *Deletion* sets the first of them to the noise floor and reads the
logit, *insertion* begins with all of them at the noise floor and gives back the first (Petsiuk, Das and
Saenko, *RISE*, BMVC 2018; Samek et al., *IEEE TNNLS* 28(11), 2017, whose area over the perturbation curve is
taken against random order too). A faithful map's deletion lowers the logit sooner than either other order:
*random* shows how much any loss hurts, *loudest first* what pointing at energy would achieve.

Logits are means over windows. Random orders are drawn anew for each window, from a seed, so equal inputs give
equal figures. Relevance is `(n_windows, n_mels, n_frames)`, as an engine makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.model import Model
from ml.truth.patches import PatchedWindow, patch_sums

FRACTION = 0.1  # of the active patches; how much is deleted for one figure
N_RANDOM = 4
FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)  # of curves; symmetric
LEAST_DROP = 0.01  # of a logit: less of a random drop is no measure for another one


@dataclass(frozen=True)
class DeletionScores:
    """What deleting the first `FRACTION` of the active patches does to a logit.

    Attributes
    ----------
    drop : float
        By how much the logit falls when the most relevant are deleted.
    random_drop, loudest_drop : float
        The same for random ones (mean of the draws) and for the loudest.
    """

    drop: float
    random_drop: float
    loudest_drop: float

    @property
    def gain(self) -> float | None:
        """`drop` over `random_drop`; None where that is less than `LEAST_DROP`."""
        return self.drop / self.random_drop if self.random_drop >= LEAST_DROP else None


@dataclass(frozen=True)
class OrderCurves:
    """The logit after deleting, and after inserting, each of `FRACTIONS` in one order: `(n_fractions,)`."""

    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]

    @property
    def deletion_area(self) -> float:
        """Mean of the deletion curve over fractions, where 0 is the logit with all active patches deleted and
        1 with none: low is good. NaN where deleting all does not lower the logit by `LEAST_DROP`.
        """
        return self._area(self.deletion)

    @property
    def insertion_area(self) -> float:
        """The same of the insertion curve: high is good."""
        return self._area(self.insertion)

    def _area(self, curve: NDArray[np.float64]) -> float:
        everything, nothing = self.deletion[0], self.deletion[-1]
        if everything - nothing < LEAST_DROP:
            return float("nan")
        return float(np.trapezoid((curve - nothing) / (everything - nothing), FRACTIONS))


def mean_curves(curves: Sequence[OrderCurves]) -> OrderCurves:
    """The mean of several maps' curves in one kind of order; of at least one."""
    return OrderCurves(
        np.mean([each.deletion for each in curves], axis=0),
        np.mean([each.insertion for each in curves], axis=0),
    )


@dataclass(frozen=True)
class FaithfulnessCurves:
    """Curves of one label, for the three orders."""

    relevance: OrderCurves
    random: OrderCurves
    loudest: OrderCurves


def deletion(
    model: Model, inputs: NDArray[np.floating], label: int, relevance: NDArray[np.floating]
) -> DeletionScores:
    """Delete what matters most to one label; see `deletions`.

    Parameters
    ----------
    relevance : ndarray, shape (n_windows, n_mels, n_frames)
    """
    return deletions(model, inputs, [label], relevance[None])[0]


def deletions(
    model: Model,
    inputs: NDArray[np.floating],
    labels: Sequence[int],
    relevance: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    *,
    n_random: int = N_RANDOM,
    seed: int = 0,
    logits: NDArray[np.floating] | None = None,
) -> tuple[DeletionScores, ...]:
    """Delete what matters most to each label; ``n_labels + n_random + 1`` forward passes per window.

    Parameters
    ----------
    model : Model
    inputs : ndarray of float32, shape (n_windows, n_mels, n_frames)
        Scaled, those with sound.
    labels : sequence of int
    relevance : ndarray, shape (n_labels, n_windows, n_mels, n_frames), or sequence of ndarray
        Each label's map of each window.
    n_random : int
        Random draws per window, at least 1.
    seed : int
        Of the random draws.
    logits : ndarray of float32, shape (n_windows, n_labels), optional
        What the network makes of the inputs, where that is known already; otherwise one pass more.

    Returns
    -------
    tuple of DeletionScores
        One for each label; all zero for no windows.
    """
    if len(inputs) == 0:
        return (DeletionScores(0.0, 0.0, 0.0),) * len(labels)
    whole = model.logits(inputs) if logits is None else logits
    whole = whole[:, list(labels)].astype(np.float64)  # (n_windows, n_labels)
    rng = np.random.default_rng(seed)
    drops = np.zeros((len(inputs), len(labels), 3))
    for place, cells in enumerate(inputs):
        window = PatchedWindow.of(cells, model.mel)
        by_relevance = [window.by(patch_sums(maps[place])) for maps in relevance]
        ranks = (*by_relevance, window.by_power(), *window.drawn(n_random, rng))
        n_deleted = window.count(FRACTION)
        variants = window.without(np.stack([rank < n_deleted for rank in ranks]))
        left = model.logits(variants)[:, list(labels)].astype(np.float64)  # (n_ranks, n_labels)
        fallen = whole[place] - left
        drops[place, :, 0] = np.diagonal(fallen[: len(labels)])
        drops[place, :, 1] = fallen[len(labels) + 1 :].mean(axis=0)
        drops[place, :, 2] = fallen[len(labels)]
    return tuple(DeletionScores(*(float(drop) for drop in of_label)) for of_label in drops.mean(axis=0))


def faithfulness_curves(
    model: Model,
    inputs: NDArray[np.floating],
    labels: Sequence[int],
    relevance: NDArray[np.floating],
    *,
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> tuple[FaithfulnessCurves, ...]:
    """Deletion and insertion curves over `FRACTIONS`; parameters as for `deletions`.

    Returns
    -------
    tuple of FaithfulnessCurves
        One for each label. Inserting in a random order is deleting in the reversed one, so random curves
        mirror each other.

    Raises
    ------
    ValueError
        When there are no windows.
    """
    if len(inputs) == 0:
        raise ValueError("There are no windows to draw curves of.")
    rng = np.random.default_rng(seed)
    totals = np.zeros((len(labels), 3, 2, len(FRACTIONS)))  # orders: relevance, random, loudest
    for place, cells in enumerate(inputs):
        window = PatchedWindow.of(cells, model.mel)
        by_relevance = [window.by(patch_sums(maps[place])) for maps in relevance]
        of_power = _both_curves(model, window, window.by_power())
        of_draws = np.mean(
            [_deletion_curve(model, window, rank) for rank in window.drawn(n_random, rng)], axis=0
        )
        for row, label in enumerate(labels):
            totals[row, 0] += _both_curves(model, window, by_relevance[row])[:, :, label]
            totals[row, 1] += np.stack([of_draws[:, label], of_draws[::-1, label]])
            totals[row, 2] += of_power[:, :, label]
    means = totals / len(inputs)
    return tuple(
        FaithfulnessCurves(*(OrderCurves(of_order[0], of_order[1]) for of_order in of_label))
        for of_label in means
    )


def pooled_gain(scores: Sequence[DeletionScores]) -> float:
    """Deletion gain of a set of maps: their mean drop over their mean random drop; NaN where that is tiny."""
    random_drop = float(np.mean([score.random_drop for score in scores])) if scores else 0.0
    if random_drop < LEAST_DROP:
        return float("nan")
    return float(np.mean([score.drop for score in scores])) / random_drop


def _deletion_curve(model: Model, window: PatchedWindow, rank: NDArray[np.int_]) -> NDArray[np.float64]:
    """Logits after deleting in an order, `(n_fractions, n_labels)`."""
    deleted = np.stack([rank < window.count(fraction) for fraction in FRACTIONS])
    return model.logits(window.without(deleted)).astype(np.float64)


def _both_curves(model: Model, window: PatchedWindow, rank: NDArray[np.int_]) -> NDArray[np.float64]:
    """Logits after deleting and after inserting in an order, `(2, n_fractions, n_labels)`."""
    reversed_rank = window.count(1.0) - 1 - rank  # inserting keeps what it would delete last
    inserted = _deletion_curve(model, window, reversed_rank)[::-1]
    return np.stack([_deletion_curve(model, window, rank), inserted])
