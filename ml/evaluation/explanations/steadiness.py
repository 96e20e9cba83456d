"""Figures of the closer look (`checks`): stability, weight randomisation, and what maps are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation.explanations.checks import Checks, LayerParts
from ml.evaluation.explanations.examining import Findings
from ml.evaluation.intervals import Interval, bootstrap, weighted_mean
from ml.truth.stability import Randomised

MOST_ERROR = 1e-5  # of concept maps plus remainder, over the map's largest magnitude


@dataclass(frozen=True)
class RandomisedLayer:
    """Similarity of maps to those of the network with `layer` and all above it randomised."""

    layer: str
    similarity: Interval
    rank_similarity: Interval


@dataclass(frozen=True)
class SplitLayer:
    """What maps split by a layer's channels are like.

    Attributes
    ----------
    layer : str
    largest_error : float
        `LayerParts.error`.
    share, mass_accuracy : Interval
        Means of `LayerParts.share` and `LayerParts.mass_accuracy`.
    """

    layer: str
    largest_error: float
    share: Interval
    mass_accuracy: Interval


@dataclass(frozen=True)
class Steadiness:
    """Figures of the chosen method on the examined clips.

    Attributes
    ----------
    n_clips, n_maps : int
    gain, noise : Interval
        Mean similarity of maps after `ml.truth.stability.GAINS_DB`, and with faint noise.
    randomised : tuple of RandomisedLayer
        The head first.
    layers : tuple of SplitLayer
        In the order they run.
    exact : Interval
        Share of the maps and layers whose parts add up to within `MOST_ERROR`.
    """

    n_clips: int
    n_maps: int
    gain: Interval
    noise: Interval
    randomised: tuple[RandomisedLayer, ...]
    layers: tuple[SplitLayer, ...]
    exact: Interval


def steadiness_of(findings: Sequence[Findings], seed: int) -> Steadiness:
    """Take the checks of all clips together.

    Parameters
    ----------
    findings : sequence of Findings
        Those that were not examined do not count; nor do clips in which nothing sounds.
    seed : int
        Of the resamplings, over clips.

    Returns
    -------
    Steadiness
        NaN throughout, and without layers, where nothing was examined.
    """
    checks = [found.checks for found in findings if found.checks is not None and found.checks.stability]
    layers = list(dict.fromkeys(part.layer for check in checks for part in check.layers))
    steps = [step.layer for step in checks[0].randomised] if checks else []

    def mean(values: Iterable[Iterable[float]]) -> Interval:
        means = np.array([np.mean(list(of_clip)) for of_clip in values])
        if len(means) == 0:
            return Interval(np.nan, np.nan, np.nan)
        return bootstrap(weighted_mean(means), len(means), np.random.default_rng([seed, 0xE8]))

    return Steadiness(
        n_clips=len(checks),
        n_maps=sum(len(check.stability) for check in checks),
        gain=mean([each.gain for each in check.stability] for check in checks),
        noise=mean([each.noise for each in check.stability] for check in checks),
        randomised=tuple(
            RandomisedLayer(
                step,
                mean([_step(check, step).similarity] for check in checks),
                mean([_step(check, step).rank_similarity] for check in checks),
            )
            for step in steps
        ),
        layers=tuple(
            SplitLayer(
                layer,
                max(part.error for check in checks for part in _of(check, layer)),
                mean([part.share for part in _of(check, layer)] for check in checks),
                mean([part.mass_accuracy for part in _of(check, layer)] for check in checks),
            )
            for layer in layers
        ),
        exact=mean([float(part.error <= MOST_ERROR) for part in check.layers] for check in checks),
    )


def _step(check: Checks, layer: str) -> Randomised:
    return next(step for step in check.randomised if step.layer == layer)


def _of(check: Checks, layer: str) -> list[LayerParts]:
    return [part for part in check.layers if part.layer == layer]
