"""All figures of a set of clips whose instruments are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.calibration import (
    CalibrationErrors,
    ReliabilityBin,
    calibration_errors,
    reliability_bins,
)
from ml.evaluation.confusion import Confusion, confusion
from ml.evaluation.intervals import (
    Interval,
    bootstrap,
    weighted_f1,
    weighted_macro_f1,
    weighted_mean,
)
from ml.evaluation.listening import Heard


@dataclass(frozen=True)
class LabelScore:
    """How well one instrument is heard; `n_clips` counts those in which it plays."""

    f1: Interval
    precision: float
    recall: float
    calibration_error: float
    n_clips: int


@dataclass(frozen=True)
class NumberScore:
    """How well clips with one number of instruments are heard.

    `exact` is the share of clips in which just those that play are reported.
    """

    macro_f1: Interval
    exact: Interval
    n_clips: int


@dataclass(frozen=True)
class ClipScores:
    """The figures of a set of clips."""

    n_clips: int
    macro_f1: Interval
    micro_f1: Interval
    exact: Interval
    per_instrument: dict[str, LabelScore]
    by_number: dict[int, NumberScore]
    calibration: CalibrationErrors
    reliability: tuple[ReliabilityBin, ...]
    confusion: Confusion


def score(heard: Sequence[Heard], seed: int) -> ClipScores:
    """Score what a model made of some sets of clips, taken together.

    Parameters
    ----------
    heard : sequence of Heard
        By one model.
    seed : int
        Of the resamplings.

    Returns
    -------
    ClipScores
        Every interval has its own resamplings, drawn from `seed`.
    """
    truth = np.concatenate([part.truth for part in heard])
    present = np.concatenate([part.present for part in heard])
    probabilities = np.concatenate([part.probabilities for part in heard])
    rng = np.random.default_rng([seed, 0xB007])
    numbers = truth.sum(axis=1)
    exact = (truth == present).all(axis=1)
    calibration = calibration_errors(truth, probabilities)
    return ClipScores(
        n_clips=len(truth),
        macro_f1=bootstrap(weighted_macro_f1(truth, present), len(truth), rng),
        micro_f1=bootstrap(weighted_f1(truth, present), len(truth), rng),
        exact=bootstrap(weighted_mean(exact), len(truth), rng),
        per_instrument={
            label: _label_score(truth[:, index], present[:, index], float(calibration.per_label[index]), rng)
            for index, label in enumerate(heard[0].labels)
            if truth[:, index].any()
        },
        by_number={
            int(number): _number_score(truth[numbers == number], present[numbers == number], rng)
            for number in np.unique(numbers)
        },
        calibration=calibration,
        reliability=reliability_bins(truth, probabilities),
        confusion=confusion(truth, present),
    )


def _label_score(
    truth: NDArray[np.bool_],
    present: NDArray[np.bool_],
    calibration_error: float,
    rng: np.random.Generator,
) -> LabelScore:
    hits, said, plays = int((truth & present).sum()), int(present.sum()), int(truth.sum())
    return LabelScore(
        f1=bootstrap(weighted_f1(truth, present), len(truth), rng),
        precision=hits / said if said else float("nan"),
        recall=hits / plays,
        calibration_error=calibration_error,
        n_clips=plays,
    )


def _number_score(
    truth: NDArray[np.bool_], present: NDArray[np.bool_], rng: np.random.Generator
) -> NumberScore:
    return NumberScore(
        macro_f1=bootstrap(weighted_macro_f1(truth, present), len(truth), rng),
        exact=bootstrap(weighted_mean((truth == present).all(axis=1)), len(truth), rng),
        n_clips=len(truth),
    )
