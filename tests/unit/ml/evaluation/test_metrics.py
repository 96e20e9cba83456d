"""Metrics against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluation.metrics import best_thresholds, common_threshold, f1_scores


def counted_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    hits = sum(1 for t, p in zip(truth, predicted, strict=True) if t and p)
    wrong = sum(1 for t, p in zip(truth, predicted, strict=True) if t != p)
    return 2 * hits / (2 * hits + wrong) if hits + wrong else 0.0


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    truth = rng.random((60, 4)) < 0.4
    probabilities = np.clip(truth * 0.4 + rng.random((60, 4)) * 0.7, 0, 1).astype(np.float32)
    return truth, probabilities


def test_f1_is_what_counting_gives(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = drawn
    predicted = probabilities > 0.5
    scores = f1_scores(truth, predicted)
    expected = [counted_f1(truth[:, label], predicted[:, label]) for label in range(4)]
    np.testing.assert_allclose(scores.per_label, expected)
    assert scores.macro == pytest.approx(np.mean(expected))
    assert scores.micro == pytest.approx(counted_f1(truth.ravel(), predicted.ravel()))


def test_macro_f1_is_over_the_labels_that_occur() -> None:
    truth = np.array([[True, False], [False, False]])
    assert f1_scores(truth, truth).macro == 1.0
    assert f1_scores(truth, truth).per_label.tolist() == [1.0, 0.0]


def test_best_thresholds_are_those_of_trying_them_all(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = drawn
    found = best_thresholds(truth, probabilities)
    for label, threshold in enumerate(found):
        tried = [
            counted_f1(truth[:, label], probabilities[:, label] >= candidate)
            for candidate in np.linspace(0.05, 0.95, 91)
        ]
        best = counted_f1(truth[:, label], probabilities[:, label] >= threshold)
        assert best >= max(tried) - 0.02  # the middle of equal candidates may lie beside them


def test_a_label_that_never_occurs_keeps_one_half() -> None:
    truth = np.zeros((5, 1), dtype=bool)
    assert best_thresholds(truth, np.full((5, 1), 0.9, dtype=np.float32)).tolist() == [0.5]


def test_the_common_threshold_is_the_best_of_a_search() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random((60, 3)) < 0.4
    probabilities = np.clip(0.5 * truth + rng.normal(0.3, 0.2, truth.shape), 0.0, 1.0)
    found = common_threshold(truth, probabilities)
    best = max(f1_scores(truth, probabilities >= threshold / 100).macro for threshold in range(5, 96))
    assert f1_scores(truth, probabilities >= found).macro == pytest.approx(best)
