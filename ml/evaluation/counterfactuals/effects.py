"""Effects: by how much a change moves an answer and its map, as paired differences with 95 % intervals.

Pairs of one instrument, or of several that serve for comparison, are a *subject*. A difference is changed
less as it was, so below 0 the change has lowered the figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.counterfactuals.changes import CHANGES, Change
from ml.evaluation.counterfactuals.pairs import ChangedOutcome, PairedClassification
from ml.evaluation.intervals import Interval, Statistic, bootstrap, difference, weighted_mean


@dataclass(frozen=True)
class Effect:
    """What one change does to one subject.

    Attributes
    ----------
    change : str
    n_pairs : int
    came_about : bool
        Whether the sound shows the change, by its figure's mean over the pairs.
    figure_before, figure_after : float
        Those means.
    logit, probability, relevance, onset_share : Interval
        Mean differences: of the instrument's logit and probability, of the sum of its map, and of the share
        of the map's positive part that lies on onsets.
    similarity : Interval
        Mean cosine of the two maps.
    logit_solo, logit_with_another : Interval
        `logit` of the pairs in which the instrument plays alone, and of those in which another plays along.
    lost : float
        Share of the pairs in which the instrument was present, of which it no longer is; NaN without any.
    """

    change: str
    n_pairs: int
    came_about: bool
    figure_before: float
    figure_after: float
    logit: Interval
    probability: Interval
    relevance: Interval
    onset_share: Interval
    similarity: Interval
    logit_solo: Interval
    logit_with_another: Interval
    lost: float


@dataclass(frozen=True)
class Subject:
    """Pairs of one subject.

    Attributes
    ----------
    name : str
        An instrument's, or what several have in common.
    pairs : tuple of PairedClassification
    has_partner : ndarray of bool, shape (n_pairs,)
    """

    name: str
    pairs: tuple[PairedClassification, ...]
    has_partner: NDArray[np.bool_]

    def outcomes(self, change: str) -> list[ChangedOutcome]:
        """What came of a change, pair by pair."""
        return [next(one for one in pair.changed if one.change == change) for pair in self.pairs]

    def differences(self, change: str, name: str = "logit") -> NDArray[np.float64]:
        """A figure of `Outcome`, changed less as it was, `(n_pairs,)`."""
        after = np.array([getattr(one.outcome, name) for one in self.outcomes(change)], dtype=np.float64)
        before = np.array([getattr(pair.as_it_is, name) for pair in self.pairs], dtype=np.float64)
        return after - before

    def effect(self, change: Change, rng: np.random.Generator) -> Effect:
        """What a change does."""
        outcomes, n = self.outcomes(change.name), len(self.pairs)

        def mean(values: NDArray[np.float64]) -> Interval:
            return bootstrap(weighted_mean(values), n, rng)

        logit = self.differences(change.name)
        before, after = (
            np.array(values)
            for values in (
                [one.figure_before for one in outcomes],
                [one.figure_after for one in outcomes],
            )
        )
        told = ~(np.isnan(before) | np.isnan(after))
        means = (float(before[told].mean()), float(after[told].mean())) if told.any() else (np.nan, np.nan)
        present = [
            (pair.as_it_is.present, one.outcome.present)
            for pair, one in zip(self.pairs, outcomes, strict=True)
        ]
        n_present = sum(was for was, _ in present)
        return Effect(
            change=change.name,
            n_pairs=n,
            came_about=change.check.passed(*means),
            figure_before=means[0],
            figure_after=means[1],
            logit=mean(logit),
            probability=mean(self.differences(change.name, "probability")),
            relevance=mean(self.differences(change.name, "relevance")),
            onset_share=mean(self.differences(change.name, "onset_share")),
            similarity=mean(np.array([one.similarity for one in outcomes])),
            logit_solo=mean(np.where(self.has_partner, np.nan, logit)),
            logit_with_another=mean(np.where(self.has_partner, logit, np.nan)),
            lost=sum(was and not still for was, still in present) / n_present if n_present else np.nan,
        )


def stronger(subject: Subject, first: str, second: str, rng: np.random.Generator) -> Interval:
    """By how much more one change moves the mean logit than another, whichever way either does.

    Parameters
    ----------
    subject : Subject
    first, second : str
        Names of changes.
    rng : numpy.random.Generator

    Returns
    -------
    Interval
        ``|mean difference of first| - |mean difference of second|``, over the same pairs.
    """
    sizes = [_size(subject.differences(name)) for name in (first, second)]
    return bootstrap(difference(sizes[0], sizes[1]), len(subject.pairs), rng)


def own_effect(subject: Subject, others: Subject, change: str, rng: np.random.Generator) -> Interval:
    """By how much a change moves a subject's mean logit more upwards than that of others.

    Parameters
    ----------
    subject, others : Subject
        Different pairs.
    change : str
    rng : numpy.random.Generator

    Returns
    -------
    Interval
        Difference of the two mean differences.
    """
    ours, theirs = subject.differences(change), others.differences(change)
    nothing = np.full(len(theirs), np.nan), np.full(len(ours), np.nan)
    first = weighted_mean(np.concatenate([ours, nothing[0]]))
    second = weighted_mean(np.concatenate([nothing[1], theirs]))
    return bootstrap(difference(first, second), len(ours) + len(theirs), rng)


@dataclass(frozen=True)
class Studied:
    """A subject with the effect of every change, by its name."""

    subject: Subject
    effects: Mapping[str, Effect]


def study(subject: Subject, rng: np.random.Generator) -> Studied:
    """Take the effects of all changes."""
    return Studied(subject, {change.name: subject.effect(change, rng) for change in CHANGES})


def _size(differences: NDArray[np.float64]) -> Statistic:
    mean = weighted_mean(differences)
    return lambda weights: np.abs(mean(weights))
