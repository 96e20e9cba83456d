"""Figures of a set of maps, with intervals over clips.

Maps are pooled: every map counts, whichever clip it is of, and intervals resample whole clips
(`ml.evaluation.intervals`), since the maps of one clip are not independent. Ratios are ratios of sums
(`ml.truth.scores.pooled_skill` says why), and a correlation is that of all pairs of map and stem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.explanations.examining import ScoredClip, ScoredMap
from ml.evaluation.intervals import Interval, Statistic, bootstrap, weighted_mean
from ml.truth.faithfulness import LEAST_DROP

_LEAST_SPREAD = 1e-12  # variance below which values count as equal

Parts = Callable[[ScoredMap], tuple[float, float] | None]
"""What a map adds to numerator and denominator; None where it does not count."""


@dataclass(frozen=True)
class MapFigures:
    """Figures of a set of maps; NaN where undefined.

    Attributes
    ----------
    n_clips, n_maps : int
    coverage : Interval
        Share of the maps whose instrument the model finds in the clip.
    skill, skill_found : Interval
        Over loudness: of all maps, and of those whose instrument is found.
    mass_accuracy, energy_share : Interval
        Means of RMA and of E.
    pointing, own_stem : Interval
        Shares of maps.
    rank_accuracy, time_overlap, sounding_share : Interval
        Means.
    shapley_correlation : Interval
    deletion_gain : Interval
        Mean drop of the logit over that of random deletion.
    loudest_gain : Interval
        The same of deleting the loudest.
    insertion : Interval
        Part of the logit that the most relevant tenth brings back.
    similarity : Interval
        Mean over clips of the similarity of two instruments' maps.
    """

    n_clips: int
    n_maps: int
    coverage: Interval
    skill: Interval
    skill_found: Interval
    mass_accuracy: Interval
    energy_share: Interval
    pointing: Interval
    own_stem: Interval
    rank_accuracy: Interval
    time_overlap: Interval
    sounding_share: Interval
    shapley_correlation: Interval
    deletion_gain: Interval
    loudest_gain: Interval
    insertion: Interval
    similarity: Interval


def figures_of(clips: Sequence[ScoredClip], seed: int) -> MapFigures:
    """All figures of some clips' maps.

    Parameters
    ----------
    clips : sequence of ScoredClip
        By one contender on one model; at least one.
    seed : int
        Of the resamplings, which are the same for every figure: those of two contenders on the same clips can
        be compared.

    Returns
    -------
    MapFigures
    """

    def over_clips(statistic: Statistic) -> Interval:
        return bootstrap(statistic, len(clips), np.random.default_rng([seed, 0xE5]))

    def of(parts: Parts, least: float = 0.0) -> Interval:
        return over_clips(ratio_of_sums(clips, parts, least))

    found = [only(clip, [scored.found for scored in clip.maps]) for clip in clips]
    return MapFigures(
        n_clips=len(clips),
        n_maps=sum(len(clip.maps) for clip in clips),
        coverage=of(lambda scored: (float(scored.found), 1.0)),
        skill=of(_skill),
        skill_found=over_clips(ratio_of_sums(found, _skill)),
        mass_accuracy=of(lambda scored: (scored.scores.mass_accuracy, 1.0)),
        energy_share=of(lambda scored: (scored.scores.energy_share, 1.0)),
        pointing=of(lambda scored: (float(scored.scores.pointing), 1.0)),
        own_stem=of(lambda scored: (float(scored.scores.own_stem), 1.0)),
        rank_accuracy=of(_rank_accuracy),
        time_overlap=of(lambda scored: (scored.scores.time_overlap, 1.0)),
        sounding_share=of(lambda scored: (scored.scores.sounding_share, 1.0)),
        shapley_correlation=over_clips(pooled_correlation(clips)),
        deletion_gain=of(lambda scored: (scored.deletion.drop, scored.deletion.random_drop), LEAST_DROP),
        loudest_gain=of(
            lambda scored: (scored.deletion.loudest_drop, scored.deletion.random_drop), LEAST_DROP
        ),
        insertion=of(lambda scored: (scored.insertion.regained, scored.insertion.possible), LEAST_DROP),
        similarity=over_clips(weighted_mean(np.array([clip.similarity for clip in clips]))),
    )


def only(clip: ScoredClip, chosen: Sequence[bool]) -> ScoredClip:
    """A clip with some of its maps; how alike they are is left open."""
    maps = tuple(scored for scored, taken in zip(clip.maps, chosen, strict=True) if taken)
    return replace(clip, maps=maps, similarity=float("nan"))


def ratio_of_sums(clips: Sequence[ScoredClip], parts: Parts, least: float = 0.0) -> Statistic:
    """A sum over maps divided by another one.

    Parameters
    ----------
    clips : sequence of ScoredClip
    parts : callable
    least : float
        A smaller mean denominator, over the maps that count, leaves it undefined; so does one of 0.

    Returns
    -------
    Statistic
    """
    sums = np.zeros((len(clips), 3))  # numerator, denominator, maps that count
    for row, clip in enumerate(clips):
        for scored in clip.maps:
            added = parts(scored)
            if added is not None:
                sums[row] += (*added, 1.0)

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        above, below, counted = (weights @ sums).T
        defined = (below > 0.0) & (below >= least * counted)
        ratios: NDArray[np.float64] = np.divide(
            above, below, out=np.full(len(weights), np.nan), where=defined
        )
        return ratios

    return statistic


def pooled_correlation(clips: Sequence[ScoredClip]) -> Statistic:
    """Pearson's correlation, over all pairs of map and stem, of relevance and Shapley value.

    `ml.truth.shapley.shapley_correlation` with whole-number weights of clips.
    """
    pairs = [
        np.array(
            [
                pair
                for scored in clip.maps
                for pair in zip(scored.scores.stem_relevance, scored.shapley, strict=True)
            ]
        )
        for clip in clips
    ]
    pairs = [part.reshape(-1, 2) for part in pairs]
    everything = np.concatenate(pairs)
    if len(everything) == 0:
        return lambda weights: np.full(len(weights), np.nan)
    centre = everything.mean(axis=0)  # moments about it do not cancel
    moments = np.array([_moments(part - centre) for part in pairs])  # (n_clips, 6)

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        n, x, y, xx, yy, xy = (weights @ moments).T
        n = np.maximum(n, 1.0)
        variances = np.maximum(xx / n - (x / n) ** 2, 0.0), np.maximum(yy / n - (y / n) ** 2, 0.0)
        defined = np.minimum(*variances) >= _LEAST_SPREAD
        correlations: NDArray[np.float64] = np.divide(
            xy / n - x * y / n**2,
            np.sqrt(variances[0] * variances[1]),
            out=np.full(len(weights), np.nan),
            where=defined,
        )
        return correlations

    return statistic


def relevance_on_stems(clips: Sequence[ScoredClip], labels: Sequence[str]) -> NDArray[np.float64]:
    """Mean signed relevance of each instrument's maps on each instrument's stem.

    Parameters
    ----------
    clips : sequence of ScoredClip
    labels : sequence of str

    Returns
    -------
    ndarray of float64, shape (n_labels, n_labels)
        Row: whose map; column: on whose stem, over the clips in which both play. NaN for those that never
        play together.
    """
    sums, counts = np.zeros((len(labels), len(labels))), np.zeros((len(labels), len(labels)))
    for clip in clips:
        columns = [labels.index(name) for name in clip.stems]
        for scored in clip.maps:
            row = labels.index(scored.instrument)
            sums[row, columns] += scored.scores.stem_relevance
            counts[row, columns] += 1.0
    mean: NDArray[np.float64] = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0.0)
    return mean


def _moments(pairs: NDArray[np.float64]) -> tuple[float, ...]:
    x, y = pairs.T
    return (float(len(pairs)), *(float(part.sum()) for part in (x, y, x * x, y * y, x * y)))


def _skill(scored: ScoredMap) -> tuple[float, float] | None:
    if scored.scores.alone:
        return None
    energy_share = scored.scores.energy_share
    return scored.scores.mass_accuracy - energy_share, 1.0 - energy_share


def _rank_accuracy(scored: ScoredMap) -> tuple[float, float] | None:
    accuracy = scored.scores.rank_accuracy
    return None if accuracy is None else (accuracy, 1.0)
