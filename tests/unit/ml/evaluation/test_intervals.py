"""Bootstrap intervals against resampling one clip at a time with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from ml.evaluation.intervals import (
    INTERVAL_PERCENT,
    N_RESAMPLINGS,
    Interval,
    bootstrap,
    difference,
    weighted_f1,
    weighted_macro_f1,
    weighted_mean,
)

ROUNDING = 1e-12  # sums in another order

Bools = NDArray[np.bool_]


@pytest.fixture
def drawn() -> tuple[Bools, Bools]:
    """Truth and predictions of 25 clips and 4 labels; the last label is rare, so some resamplings lack it."""
    rng = np.random.default_rng(8)
    truth = rng.random((25, 4)) < [0.5, 0.4, 0.3, 0.08]
    return truth, truth ^ (rng.random((25, 4)) < 0.2)


def slow_macro_f1(truth: Bools, predicted: Bools) -> float:
    occurring = np.flatnonzero(truth.any(axis=0))
    return float(np.mean([f1_score(truth[:, label], predicted[:, label]) for label in occurring]))


def slow_interval(truth: Bools, predicted: Bools, rng: np.random.Generator) -> Interval:
    drawn = rng.integers(len(truth), size=(N_RESAMPLINGS, len(truth)))
    values = [slow_macro_f1(truth[chosen], predicted[chosen]) for chosen in drawn]
    low, high = np.percentile(values, INTERVAL_PERCENT)
    return Interval(slow_macro_f1(truth, predicted), float(low), float(high))


def test_macro_f1_and_its_interval_are_what_resampling_clip_by_clip_gives(drawn: tuple[Bools, Bools]) -> None:
    fast = bootstrap(weighted_macro_f1(*drawn), 25, np.random.default_rng(3))
    slow = slow_interval(*drawn, np.random.default_rng(3))
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high), abs=ROUNDING)
    assert fast.low < fast.value < fast.high


def test_f1_of_a_label_and_of_all_pairs_are_those_of_scikit_learn(drawn: tuple[Bools, Bools]) -> None:
    truth, predicted = drawn
    once = np.ones((1, 25))
    assert weighted_f1(truth[:, 0], predicted[:, 0])(once)[0] == pytest.approx(
        f1_score(truth[:, 0], predicted[:, 0])
    )
    assert weighted_f1(truth, predicted)(once)[0] == pytest.approx(
        f1_score(truth, predicted, average="micro")
    )


def test_a_weight_of_two_is_the_clip_twice(drawn: tuple[Bools, Bools]) -> None:
    truth, predicted = drawn
    weights = np.random.default_rng(0).integers(0, 4, size=25)
    for statistic in (weighted_f1, weighted_macro_f1):
        repeated = statistic(np.repeat(truth, weights, axis=0), np.repeat(predicted, weights, axis=0))
        weighted = statistic(truth, predicted)(weights[None].astype(np.float64))
        np.testing.assert_allclose(weighted, repeated(np.ones((1, weights.sum()))), atol=ROUNDING)


def test_the_mean_leaves_out_what_does_not_count() -> None:
    values = np.array([1.0, np.nan, 0.0, 1.0])
    assert weighted_mean(values)(np.array([[1.0, 5.0, 1.0, 2.0]]))[0] == pytest.approx(3 / 4)


def test_what_is_undefined_stays_so() -> None:
    never = np.zeros(5, dtype=bool)
    interval = bootstrap(weighted_f1(never, never), 5, np.random.default_rng(0))
    assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_the_interval_shrinks_with_more_clips() -> None:
    rng = np.random.default_rng(1)
    right = rng.random(400) < 0.9
    few = bootstrap(weighted_mean(right[:40]), 40, np.random.default_rng(0))
    many = bootstrap(weighted_mean(right), 400, np.random.default_rng(0))
    assert many.high - many.low < (few.high - few.low) / 2


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=2_000)
    interval = bootstrap(weighted_mean(values), len(values), np.random.default_rng(0))
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.high - interval.value == pytest.approx(half, rel=0.1)
    assert interval.value - interval.low == pytest.approx(half, rel=0.1)


def test_a_paired_difference_is_narrower_than_either_figure() -> None:
    """Both models fail on the same hard clips; the second fails on three more."""
    rng = np.random.default_rng(2)
    first = rng.random(100) < 0.5
    second = first.copy()
    second[np.flatnonzero(first)[:3]] = False
    paired = bootstrap(difference(weighted_mean(second), weighted_mean(first)), 100, np.random.default_rng(0))
    alone = bootstrap(weighted_mean(first), 100, np.random.default_rng(0))
    assert paired.value == pytest.approx(-0.03)
    assert paired.high - paired.low < (alone.high - alone.low) / 2
    assert paired.high <= 0.0
