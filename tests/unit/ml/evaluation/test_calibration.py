"""Calibration errors against scikit-learn's curves and against counting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve

from ml.evaluation.calibration import (
    N_BINS,
    calibration_errors,
    equal_mass_error,
    equal_width_error,
    reliability_bins,
)


@pytest.fixture
def drawn() -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """398 clips, 3 labels, probabilities crowded at the ends, more certain than they should be.

    With 398, no quantile falls on a probability, where rounding would decide its bin.
    """
    rng = np.random.default_rng(4)
    probabilities = rng.beta(0.3, 0.5, size=(398, 3))
    return rng.random((398, 3)) < 0.15 + 0.6 * probabilities, probabilities


def counted(truth: NDArray[np.bool_], given: NDArray[np.float64], edges: NDArray[np.float64]) -> float:
    """Bin by bin, pair by pair: a pair is in the first bin whose upper edge it does not exceed."""
    total = 0.0
    for lower, upper in zip([-1.0, *edges[1:-1]], [*edges[1:-1], 2.0], strict=True):
        inside = [(t, p) for t, p in zip(truth, given, strict=True) if lower < p <= upper]
        if inside:
            share = sum(t for t, _ in inside) / len(inside)
            mean = sum(p for _, p in inside) / len(inside)
            total += len(inside) / len(truth) * abs(mean - share)
    return total


@pytest.mark.parametrize(
    ("error", "strategy"), [(equal_mass_error, "quantile"), (equal_width_error, "uniform")]
)
def test_the_error_is_what_scikit_learns_curve_and_counting_give(
    drawn: tuple[NDArray[np.bool_], NDArray[np.float64]],
    error: Callable[[NDArray[np.bool_], NDArray[np.float64]], float],
    strategy: str,
) -> None:
    truth, given = drawn[0][:, 0], drawn[1][:, 0]
    quantiles = np.linspace(0.0, 1.0, N_BINS + 1)
    edges = np.quantile(given, quantiles) if strategy == "quantile" else quantiles
    assert error(truth, given) == pytest.approx(counted(truth, given, edges))
    shares, means = calibration_curve(truth, given, n_bins=N_BINS, strategy=strategy)
    counts = np.bincount(np.searchsorted(edges[1:-1], given), minlength=N_BINS)
    weights = counts[counts > 0] / len(given)
    assert error(truth, given) == pytest.approx(float((weights * np.abs(shares - means)).sum()))


def test_certainty_that_is_right_has_no_error_and_wrong_certainty_all() -> None:
    truth = np.array([True, False, True, True])
    for error in (equal_mass_error, equal_width_error):
        assert error(truth, truth.astype(float)) == 0.0
        assert error(truth, 1.0 - truth) == 1.0


def test_equal_probabilities_share_a_bin() -> None:
    """Sorted apart they would seem miscalibrated in every bin."""
    truth = np.array([True] * 30 + [False] * 70)
    assert equal_mass_error(truth, np.full(100, 0.3)) == pytest.approx(0.0, abs=1e-12)


def test_calibrated_probabilities_have_a_small_error_and_overconfident_ones_a_large_one() -> None:
    rng = np.random.default_rng(0)
    meant = rng.random((4_000, 2))
    truth = rng.random((4_000, 2)) < meant
    calibrated = calibration_errors(truth, meant)
    stretched = np.clip(3.0 * (meant - 0.5) + 0.5, 0.0, 1.0)
    overconfident = calibration_errors(truth, stretched)
    assert calibrated.mean < 0.03
    assert overconfident.mean > 0.15
    assert overconfident.pooled_equal_width > 0.15


def test_errors_are_of_each_label_and_of_all_pairs(
    drawn: tuple[NDArray[np.bool_], NDArray[np.float64]],
) -> None:
    truth, given = drawn
    errors = calibration_errors(truth, given)
    assert errors.per_label.tolist() == [
        equal_mass_error(truth[:, label], given[:, label]) for label in range(3)
    ]
    assert errors.mean == pytest.approx(errors.per_label.mean())
    assert errors.pooled_equal_mass == equal_mass_error(truth.ravel(), given.ravel())
    assert errors.pooled_equal_width == equal_width_error(truth.ravel(), given.ravel())


def test_a_diagrams_points_hold_every_pair_once(
    drawn: tuple[NDArray[np.bool_], NDArray[np.float64]],
) -> None:
    truth, given = drawn
    bins = reliability_bins(truth, given)
    assert sum(point.n for point in bins) == truth.size
    assert sum(point.n * point.share for point in bins) == pytest.approx(truth.sum())
    assert sum(point.n * point.mean_probability for point in bins) == pytest.approx(given.sum())
    assert [point.mean_probability for point in bins] == sorted(point.mean_probability for point in bins)
    for point in bins:
        assert 0.0 <= point.low <= point.share <= point.high <= 1.0


def test_a_points_interval_is_wilsons() -> None:
    """Five of ten: Wilson's interval is 0.237 to 0.763 (Newcombe, Stat. Med. 17, 1998, method 3)."""
    truth = np.array([[True], [False]] * 5)
    (point,) = reliability_bins(truth, np.full((10, 1), 0.55))
    assert (point.low, point.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
