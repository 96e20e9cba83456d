"""Methods by name, and targets: what relevance starts from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ml.errors import UnknownMethodError
from ml.relevance.methods import DEFAULT_METHOD, METHODS, AlphaBeta, Box, Flat, method_named
from ml.relevance.target import Target

LOGITS = np.array([[3.0, 1.0, -2.0], [0.5, -4.0, 2.0]])


def test_methods_are_named_by_their_rules() -> None:
    assert method_named() is METHODS[DEFAULT_METHOD]
    for name, method in METHODS.items():
        assert method_named(name) is method
        assert method.name == name
        assert method.description
        assert isinstance(method.first, Flat) == name.endswith("-flat")
        assert isinstance(method.first, Box) == name.endswith("-box")
    assert method_named("epsilon-plus").convolutions == AlphaBeta(1.0, 0.0)
    assert method_named("alpha2-beta1").first == AlphaBeta(2.0, 1.0)


def test_an_unknown_method_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownMethodError, match="Unknown method 'saliency'; there are epsilon, ") as caught:
        method_named("saliency")
    assert caught.value.extra == {"unknown": "saliency", "available": list(METHODS)}


def test_names_are_known_without_the_science() -> None:
    code = "import sys, ml.relevance.methods; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_target_starts_at_its_logit() -> None:
    np.testing.assert_array_equal(Target(1).start(LOGITS), [[0.0, 1.0, 0.0], [0.0, -4.0, 0.0]])


def test_a_contrast_starts_at_the_difference_of_two_logits() -> None:
    started = Target(0, against=2).start(LOGITS)
    np.testing.assert_array_equal(started, [[3.0, 0.0, 2.0], [0.5, 0.0, -2.0]])
    np.testing.assert_array_equal(started.sum(axis=1), [5.0, -1.5])


def test_against_all_others_each_counts_by_its_softmax() -> None:
    started = Target(0, against_others=True).start(LOGITS)
    for row, logits in zip(started, LOGITS, strict=True):
        weights = np.exp(logits[1:]) / np.exp(logits[1:]).sum()
        np.testing.assert_allclose(row, [logits[0], *(-weights * logits[1:])])
    huge = Target(2, against_others=True).start(np.array([[1e4, -1e4, 0.0]]))
    np.testing.assert_allclose(huge, [[-1e4, 0.0, 0.0]])
    assert Target(0, against_others=True).start(np.zeros((0, 3))).shape == (0, 3)
    np.testing.assert_array_equal(Target(0, against_others=True).start(np.array([[2.0]])), [[2.0]])


def test_logits_keep_their_precision() -> None:
    for dtype in (np.float32, np.float64):
        for target in (Target(0), Target(0, against=1), Target(0, against_others=True)):
            assert target.start(LOGITS.astype(dtype)).dtype == dtype


def test_targets_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        Target(0, against=1, against_others=True)
    with pytest.raises(ValueError, match="against itself"):
        Target(1, against=1)
