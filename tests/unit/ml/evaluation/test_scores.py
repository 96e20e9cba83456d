"""Figures of hand-made answers, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluation.comparison import compare, comparison_section
from ml.evaluation.group_scores import score_group, subsets_of
from ml.evaluation.scores import score
from ml.evaluation.suites.notes import score_melodies
from tests.unit.ml.evaluation.conftest import heard

LABELS = ("A", "B", "C")
YES, NO = 0.9, 0.1


def test_the_figures_of_a_set_are_what_counting_gives() -> None:
    part = heard(
        LABELS,
        truth=[[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]],
        probabilities=[[YES, NO, NO], [YES, NO, NO], [NO, YES, YES], [YES, YES, NO]],
    )
    scores = score([part], seed=0)
    assert scores.n_clips == 4
    assert scores.per_instrument["A"].f1.value == 1.0
    assert scores.per_instrument["B"].f1.value == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert (scores.per_instrument["B"].precision, scores.per_instrument["B"].recall) == (1.0, 2 / 3)
    assert set(scores.per_instrument) == {"A", "B"}  # C never plays
    assert scores.macro_f1.value == pytest.approx((1.0 + 0.8) / 2)
    assert scores.micro_f1.value == pytest.approx(2 * 5 / (2 * 5 + 2))
    assert scores.exact.value == 0.5
    assert {number: one.exact.value for number, one in scores.by_number.items()} == {1: 0.5, 2: 0.5}
    assert scores.by_number[2].macro_f1.value == pytest.approx((1.0 + 2 / 3) / 2)
    assert scores.calibration.per_label[0] == pytest.approx(0.1)
    assert scores.per_instrument["B"].calibration_error == scores.calibration.per_label[1]
    assert scores.confusion.added[2] == 0.25


def test_sets_taken_together_are_one_long_set() -> None:
    rng = np.random.default_rng(3)
    truth, given = (rng.random((30, 3)) < 0.5).tolist(), rng.random((30, 3)).tolist()
    whole = score([heard(LABELS, truth, given)], seed=4)
    parts = score([heard(LABELS, truth[:11], given[:11]), heard(LABELS, truth[11:], given[11:])], seed=4)
    assert (whole.macro_f1, whole.exact, whole.reliability) == (
        parts.macro_f1,
        parts.exact,
        parts.reliability,
    )


def test_every_subset_of_a_group_is_told_apart() -> None:
    """A and B are heard but for one clip with both, in which B is missed; C is reported once beside A."""
    part = heard(
        LABELS,
        truth=[[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0]],
        probabilities=[
            [YES, NO, YES],
            [YES, NO, NO],
            [NO, YES, NO],
            [NO, YES, NO],
            [YES, NO, NO],
            [YES, YES, NO],
        ],
    )
    scores = score_group([part], ("A", "B"), np.random.default_rng(0))
    assert scores.subsets == (("A",), ("B",), ("A", "B"))
    assert scores.exact.value == pytest.approx(5 / 6)
    assert scores.exact_of_all.value == pytest.approx(4 / 6)
    assert scores.subset_exact == (1.0, 1.0, 0.5)
    assert scores.reported.tolist() == [[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [1.0, 0.5, 0.0]]
    assert scores.missed == {"A": 0.0, "B": 0.25}
    assert scores.added == {"A": 0.0, "B": 0.0}


def test_subsets_are_all_of_them_once() -> None:
    found = list(subsets_of("abc"))
    assert len(found) == len(set(found)) == 7
    assert found[0] == ("a",)
    assert found[-1] == ("a", "b", "c")


def test_melodies_are_scored_by_rank_and_probability() -> None:
    part = heard(
        ("A", "B", "C", "D"),
        truth=[[1, 0, 0, 0]] * 4,
        probabilities=[
            [0.9, 0.1, 0.1, 0.1],
            [0.6, 0.8, 0.7, 0.1],
            [0.1, 0.4, 0.3, 0.2],
            [0.4, 0.45, 0.1, 0.1],
        ],
        measure="top-1",
    )
    scores = score_melodies(part, "A", n_files=7, rng=np.random.default_rng(0))
    assert scores.top1.value == 0.25
    assert scores.top3.value == 0.75
    assert scores.probability.value == pytest.approx(0.5)
    assert scores.present.value == 0.5
    assert scores.n_others == 0.5
    assert scores.mistaken_for == {"B": 0.75}
    assert (scores.n_clips, scores.n_files) == (4, 7)


def test_a_compared_models_difference_is_to_the_first() -> None:
    truth = [[1, 0, 0], [0, 1, 0]] * 10
    right = heard(LABELS, truth, [[YES, NO, NO], [NO, YES, NO]] * 10)
    half = heard(LABELS, truth, [[YES, NO, NO], [NO, NO, NO]] * 10)
    compared = compare([right, half], ["right", "half"], seed=0)
    assert [one.value.value for one in compared.scores] == [1.0, 0.5]
    assert compared.scores[0].difference.low == compared.scores[0].difference.high == 0.0
    assert compared.scores[1].difference.value == -0.5
    section = comparison_section([[right, half]], ["right", "half"], ["one", "other"], seed=0)
    assert "| half | 0.500 [0.500, 0.500] | -0.500 [-0.500, -0.500] |" in section.text


def test_sets_without_a_figure_are_not_compared() -> None:
    part = heard(LABELS, [[1, 0, 0]], [[YES, NO, NO]], measure=None)
    scored = heard(LABELS, [[1, 0, 0]], [[NO, YES, NO]], measure="top-1")
    section = comparison_section([[part, part], [scored, scored]], ["a", "b"], ["", ""], seed=0)
    sets = section.record["sets"]
    assert isinstance(sets, list)
    assert [(one.measure, one.scores[0].value.value) for one in sets] == [("top-1", 0.0)]
