"""Figures of a group of instruments that sound alike, every subset of which was heard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.intervals import Interval, bootstrap, weighted_f1, weighted_mean
from ml.evaluation.listening import Heard


@dataclass(frozen=True)
class GroupScore:
    """How well a group is told apart.

    Attributes
    ----------
    instruments : tuple of str
    n_clips : int
    exact : Interval
        Share of clips in which just those of the group that play are reported, others aside.
    exact_of_all : Interval
        The same, and nothing outside the group is reported.
    f1, missed, added : mapping of str to Interval or float
        Of each instrument: its F1; the share of clips with it that miss it, without it that report it.
    subsets : tuple of tuple of str
        What plays.
    reported : ndarray of float64, shape (n_subsets, n_instruments + 1)
        Share of a subset's clips that report each instrument, last anything outside the group.
    subset_exact : tuple of float
        Share of a subset's clips in which just it is reported, others aside.
    """

    instruments: tuple[str, ...]
    n_clips: int
    exact: Interval
    exact_of_all: Interval
    f1: dict[str, Interval]
    missed: dict[str, float]
    added: dict[str, float]
    subsets: tuple[tuple[str, ...], ...]
    reported: NDArray[np.float64]
    subset_exact: tuple[float, ...]


def score_group(heard: Sequence[Heard], instruments: Sequence[str], rng: np.random.Generator) -> GroupScore:
    """Score how well instruments that sound alike are told apart.

    Parameters
    ----------
    heard : sequence of Heard
        Clips in which subsets of the instruments play and nothing else, taken together.
    instruments : sequence of str
        The group, all of them labels.
    rng : numpy.random.Generator

    Returns
    -------
    GroupScore
    """
    columns = [heard[0].labels.index(name) for name in instruments]
    all_present = np.concatenate([part.present for part in heard])
    truth = np.concatenate([part.truth for part in heard])[:, columns]
    present = all_present[:, columns]
    others = np.delete(all_present, columns, axis=1).any(axis=1)
    exact = (truth == present).all(axis=1)
    subsets = tuple(subsets_of(instruments))
    rows = [(truth == [name in subset for name in instruments]).all(axis=1) for subset in subsets]
    reported = np.column_stack([present, others])
    return GroupScore(
        instruments=tuple(instruments),
        n_clips=len(truth),
        exact=bootstrap(weighted_mean(exact), len(truth), rng),
        exact_of_all=bootstrap(weighted_mean(exact & ~others), len(truth), rng),
        f1={
            name: bootstrap(weighted_f1(truth[:, column], present[:, column]), len(truth), rng)
            for column, name in enumerate(instruments)
        },
        missed={
            name: float((~present[truth[:, column], column]).mean())
            for column, name in enumerate(instruments)
        },
        added={
            name: float(present[~truth[:, column], column].mean()) for column, name in enumerate(instruments)
        },
        subsets=subsets,
        reported=np.stack([reported[chosen].mean(axis=0) for chosen in rows]),
        subset_exact=tuple(float(exact[chosen].mean()) for chosen in rows),
    )


def subsets_of(instruments: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every subset that is not empty, the small ones first."""
    for size in range(1, len(instruments) + 1):
        yield from itertools.combinations(instruments, size)
