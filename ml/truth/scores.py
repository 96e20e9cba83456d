"""Scores of relevance maps against the stems.

Conventions: a map `R` is signed, `(n_mels, n_frames)`, of instrument `c`; ``R+`` its positive part; ``m_j``
the share of a cell that stem `j` owns and `A` the active cells (`ml.truth.stems`).

* mass accuracy ``RMA = sum_A R+ m_c / sum R+`` and rank accuracy: Arras, Osman and Samek, *CLEVR-XAI*,
  *Information Fusion* 81, 2022, eqs. 1-2, with soft shares in place of a mask;
* skill ``(RMA - E) / (1 - E)``: what RMA gains over pointing at what is loud, whose RMA is the share of
  energy `E`; over several maps ``sum(RMA - E) / sum(1 - E)``, since a mean of ratios is ruled by the few maps
  whose instrument owns nearly all energy;
* pointing game: Zhang et al., *IJCV* 126(10), 2018, without tolerance: the one cell of largest relevance;
* relevance on stem `j`: ``sum_A R m_j / sum |R|``, signed.

What belongs to no stem is one more owner of cells: a map that lies on it lies on a stem no more than one that
lies on another's.

Relevance outside the active cells counts as wrong everywhere. A map without positive relevance has an RMA of
0, misses, and lies on no stem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.truth.stems import StemTruth

SOUNDING_DB = 30.0  # a stem sounds in the frames within this of its loudest; reverberation is not counted
LEAST_REST = 1e-6  # an instrument that owns all energy but this is alone: nothing is left to be skilled about
LEAST_REST_OF_ONE = 1e-2  # below, the quotient of a single map says nothing: an error of 1 % becomes one of 1


@dataclass(frozen=True)
class MapScores:
    """How well one map points at its instrument.

    Attributes
    ----------
    mass_accuracy : float
        RMA, 0..1.
    energy_share : float
        `E`, 0..1: the RMA of pointing at what is loud.
    skill : float or None
        At most 1; 0 is no better than loudness. None for an instrument that is nearly all that sounds
        (`LEAST_REST_OF_ONE`).
    pointing : bool
        Whether in the cell of largest relevance, an active one, the instrument owns more than any other stem
        and more than belongs to none.
    rank_accuracy : float or None
        Share of the instrument's cells (active, more than half its own; `K` of them) among the `K` cells of
        largest relevance, of which only positive ones count. None where the instrument has no such cell.
    stem_relevance : tuple of float
        Signed relevance on each stem, in the order of `StemTruth.instruments`, -1..1.
    rest_relevance : float
        Signed relevance on what belongs to no stem, -1..1.
    own_stem : bool
        Whether the largest of all these, and positive, is the instrument's own.
    time_overlap : float
        Share of the positive relevance that lies in frames in which the instrument's stem sounds, 0..1.
    sounding_share : float
        Share of the frames in which it sounds: the overlap of relevance spread evenly over time.
    """

    mass_accuracy: float
    energy_share: float
    skill: float | None
    pointing: bool
    rank_accuracy: float | None
    stem_relevance: tuple[float, ...]
    rest_relevance: float
    own_stem: bool
    time_overlap: float
    sounding_share: float

    @property
    def alone(self) -> bool:
        """Whether the instrument owns all energy (`LEAST_REST`): its map counts in no skill."""
        return 1.0 - self.energy_share <= LEAST_REST


def score_map(relevance: NDArray[np.floating], truth: StemTruth, instrument: str) -> MapScores:
    """Score an instrument's map against the stems.

    Parameters
    ----------
    relevance : ndarray, shape (n_mels, n_frames)
        Signed.
    truth : StemTruth
        Of the same recording.
    instrument : str
        One of those with a stem.

    Returns
    -------
    MapScores

    Raises
    ------
    InvalidRequestError
        When the instrument has no stem.
    ValueError
        When the map is not on the truth's grid.
    """
    if relevance.shape != truth.active.shape:
        raise ValueError(f"A map of shape {relevance.shape} is not on the grid {truth.active.shape}.")
    own = truth.index(instrument)
    signed = relevance.astype(np.float64)
    positive = np.maximum(signed, 0.0)
    mass = float(positive.sum())
    mass_accuracy = float((positive * truth.shares[own])[truth.active].sum()) / mass if mass > 0.0 else 0.0
    energy_share = float(truth.energy_shares[own])
    shares = np.concatenate([truth.shares, truth.rest_share[np.newaxis]])  # (n_stems + 1, ...)
    on_owners = _relevance_on(shares, signed * truth.active, float(np.abs(signed).sum()))
    sounding = _sounding(truth.power[own])
    return MapScores(
        mass_accuracy=mass_accuracy,
        energy_share=energy_share,
        skill=(mass_accuracy - energy_share) / (1.0 - energy_share)
        if 1.0 - energy_share >= LEAST_REST_OF_ONE
        else None,
        pointing=_points_at(positive, truth.active, shares, own),
        rank_accuracy=_rank_accuracy(positive, truth, own),
        stem_relevance=tuple(float(share) for share in on_owners[:-1]),
        rest_relevance=float(on_owners[-1]),
        own_stem=_is_largest(on_owners, own),
        time_overlap=float(positive[:, sounding].sum()) / mass if mass > 0.0 else 0.0,
        sounding_share=float(sounding.mean()),
    )


def pooled_skill(scores: Sequence[MapScores]) -> float:
    """Skill of a set of maps: ``sum(RMA - E) / sum(1 - E)``.

    Parameters
    ----------
    scores : sequence of MapScores
        Those of an instrument that is alone do not count.

    Returns
    -------
    float
        NaN where every instrument is alone, or there is none.
    """
    among_others = [score for score in scores if not score.alone]
    gained = sum(score.mass_accuracy - score.energy_share for score in among_others)
    possible = sum(1.0 - score.energy_share for score in among_others)
    return gained / possible if among_others else float("nan")


def _relevance_on(
    shares: NDArray[np.float64], signed: NDArray[np.float64], magnitude: float
) -> NDArray[np.float64]:
    """Signed relevance on each owner over the magnitude of all relevance, `(n_owners,)`."""
    if magnitude == 0.0:
        return np.zeros(len(shares))
    on_owners: NDArray[np.float64] = np.einsum("jft,ft->j", shares, signed) / magnitude
    return on_owners


def _points_at(
    positive: NDArray[np.float64], active: NDArray[np.bool_], shares: NDArray[np.float64], own: int
) -> bool:
    largest = int(positive.argmax())
    if positive.flat[largest] == 0.0 or not active.flat[largest]:
        return False
    return _is_largest(shares.reshape(len(shares), -1)[:, largest], own)


def _is_largest(values: NDArray[np.float64], own: int) -> bool:
    """Whether one's value is positive and above every other."""
    return bool(values[own] > 0.0 and (values[own] > np.delete(values, own)).all())


def _rank_accuracy(positive: NDArray[np.float64], truth: StemTruth, own: int) -> float | None:
    true_cells = ((truth.shares[own] > 0.5) & truth.active).ravel()
    n_true = int(true_cells.sum())
    if n_true == 0:
        return None
    flat = positive.ravel()
    first = np.argsort(-flat, kind="stable")[:n_true]
    return float((true_cells[first] & (flat[first] > 0.0)).sum()) / n_true


def _sounding(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Frames in which a stem sounds, `(n_frames,)`."""
    of_frames = power.sum(axis=0)
    sounding: NDArray[np.bool_] = (of_frames > 0.0) & (
        of_frames >= of_frames.max() * 10.0 ** (-SOUNDING_DB / 10.0)
    )
    return sounding
