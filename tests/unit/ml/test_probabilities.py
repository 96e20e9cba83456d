"""Calibration: a known distortion is undone, chance is not believed, and the card keeps it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from ml.probabilities import Calibration, fit_calibration

LABELS = ("a", "b")
RECOVERED = 0.15  # 20,000 draws leave about half of this by chance


def test_without_calibration_probabilities_are_the_logistic_function() -> None:
    logits = np.array([[-3.0, 0.0], [2.0, 7.0]], dtype=np.float32)
    np.testing.assert_allclose(Calibration().probabilities(logits, LABELS), expit(logits.astype(np.float64)))


def test_scale_and_offsets_are_applied_label_by_label() -> None:
    calibration = Calibration(scale=0.5, offsets={"b": -1.0})
    found = calibration.probabilities(np.array([[2.0, 4.0]]), LABELS)
    np.testing.assert_allclose(found, [[1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-1.0))]])


def test_fitting_recovers_how_logits_were_distorted() -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(0.0, 2.0, (20_000, 2))
    truth = rng.random(true_logits.shape) < expit(true_logits)
    overconfident = (true_logits - np.array([0.7, -0.4])) / 0.4
    fitted = fit_calibration(overconfident, truth, LABELS)
    assert fitted.scale == pytest.approx(0.4, abs=RECOVERED)
    assert fitted.offsets["a"] == pytest.approx(0.7, abs=RECOVERED)
    assert fitted.offsets["b"] == pytest.approx(-0.4, abs=RECOVERED)


def test_a_label_that_never_occurs_and_separable_logits_have_finite_answers() -> None:
    logits = np.array([[-5.0, -1.0], [5.0, -2.0]] * 4)
    truth = np.array([[False, False], [True, False]] * 4)
    fitted = fit_calibration(logits, truth, LABELS)
    probabilities = fitted.probabilities(logits, LABELS)
    assert np.isfinite(probabilities).all()
    assert probabilities[1, 0] > 0.9
    assert probabilities[0, 0] < 0.1
    assert (probabilities[:, 1] < 0.3).all()
