"""Maps against stems: slow references, what must hold for any map, and stems that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.truth.scores import MapScores, pooled_skill, score_map
from ml.truth.stems import Stem, StemTruth, stem_truth
from tests.reference import truth as slow
from tests.unit.ml.truth.sounds import MEL, burst, noise, recording, silent

SHAPE = (5, 7)
seeds = st.integers(0, 2**32 - 1)


def some_truth(seed: int, n_stems: int) -> StemTruth:
    """Random powers, some of them nothing, some cells not active."""
    rng = np.random.default_rng(seed)
    power = rng.gamma(0.3, size=(n_stems, *SHAPE)) * (rng.random((n_stems, *SHAPE)) < 0.8)
    rest = rng.gamma(0.3, size=SHAPE) * (rng.random(SHAPE) < 0.3)
    return slow.truth_of(power, rest, rng.random(SHAPE) < 0.7)


def some_map(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=SHAPE)


@given(seeds, seeds, st.integers(1, 4), st.data())
def test_scores_are_the_slow_ones(map_seed: int, truth_seed: int, n_stems: int, data: st.DataObject) -> None:
    truth, relevance = some_truth(truth_seed, n_stems), some_map(map_seed)
    own = data.draw(st.integers(0, n_stems - 1))
    found = score_map(relevance, truth, truth.instruments[own])
    assert found.mass_accuracy == pytest.approx(slow.mass_accuracy(relevance, truth, own))
    assert found.energy_share == pytest.approx(truth.energy_shares[own])
    assert found.pointing == slow.points_right(relevance, truth, own)
    assert found.rank_accuracy == slow.rank_accuracy(relevance, truth, own)
    on_stems = slow.stem_relevance(relevance, truth)
    assert found.stem_relevance == pytest.approx(on_stems)
    assert found.rest_relevance == pytest.approx(slow.rest_relevance(relevance, truth))
    assert found.own_stem == slow.lies_on_own_stem(relevance, truth, own)
    assert found.time_overlap == pytest.approx(slow.time_overlap(relevance, truth, own))
    assert (found.skill is None) == (found.energy_share > 0.99)
    if found.skill is not None:
        assert found.skill * (1 - found.energy_share) == pytest.approx(
            found.mass_accuracy - found.energy_share
        )


@given(seeds, seeds, st.floats(1e-6, 1e6))
def test_scores_do_not_depend_on_scale_and_keep_their_bounds(
    map_seed: int, truth_seed: int, factor: float
) -> None:
    truth, relevance = some_truth(truth_seed, 3), some_map(map_seed)
    scores, scaled = (score_map(values, truth, "B") for values in (relevance, factor * relevance))
    assert scaled.mass_accuracy == pytest.approx(scores.mass_accuracy)
    assert scaled.stem_relevance == pytest.approx(scores.stem_relevance)
    assert (scaled.pointing, scaled.rank_accuracy) == (scores.pointing, scores.rank_accuracy)
    for share in (scores.mass_accuracy, scores.energy_share, scores.time_overlap, scores.sounding_share):
        assert 0.0 <= share <= 1.0 + 1e-12
    assert abs(sum(scores.stem_relevance) + scores.rest_relevance) <= 1.0 + 1e-12
    assert scores.skill is None or scores.skill <= 1.0 + 1e-12


@given(seeds, seeds)
def test_no_map_beats_the_best_cell_and_relevance_elsewhere_costs(map_seed: int, truth_seed: int) -> None:
    truth, relevance = some_truth(truth_seed, 3), some_map(map_seed)
    before = score_map(relevance, truth, "A").mass_accuracy
    assert before <= (truth.shares[0] * truth.active).max() + 1e-12
    moved = relevance + np.where(truth.active, 0.0, 1.0)
    assert score_map(moved, truth, "A").mass_accuracy <= before + 1e-12


@given(seeds, seeds, st.permutations(range(4)))
def test_the_order_of_stems_does_not_matter(map_seed: int, truth_seed: int, order: Sequence[int]) -> None:
    truth, relevance = some_truth(truth_seed, 4), some_map(map_seed)
    turned = StemTruth(
        tuple(truth.instruments[j] for j in order),
        truth.power[list(order)],
        truth.rest_power,
        truth.shares[list(order)],
        truth.active,
        truth.energy_shares[list(order)],
    )
    before, after = (score_map(relevance, each, "C") for each in (truth, turned))
    assert after.mass_accuracy == pytest.approx(before.mass_accuracy)
    assert after.own_stem == before.own_stem
    assert after.stem_relevance == pytest.approx([before.stem_relevance[j] for j in order])


def test_on_stems_that_do_not_overlap_truth_scores_one_and_loudness_nothing(apart: tuple[Stem, ...]) -> None:
    truth = stem_truth(apart, MEL)
    rng = np.random.default_rng(1)
    energy = truth.power.sum(axis=0) * truth.active
    by_kind: dict[str, list[MapScores]] = {"true": [], "soft": [], "energy": [], "random": [], "wrong": []}
    for name, other in zip("ABC", "BCA", strict=True):
        by_kind["true"].append(score_map(truth.true_mask(name), truth, name))
        by_kind["soft"].append(score_map(truth.true_mask(name, soft=True), truth, name))
        by_kind["energy"].append(score_map(energy, truth, name))
        by_kind["random"].append(score_map(rng.random(energy.shape), truth, name))
        by_kind["wrong"].append(score_map(truth.true_mask(other), truth, name))
    for kind in ("true", "soft"):
        for scores in by_kind[kind]:
            assert scores.mass_accuracy == pytest.approx(1.0, abs=1e-6)
            assert scores.skill == pytest.approx(1.0, abs=1e-6)
            assert scores.rank_accuracy == 1.0
            assert scores.pointing
            assert scores.own_stem
            assert scores.time_overlap > 0.9  # in frames at its edges it is more than 30 dB softer
    for scores in by_kind["energy"]:
        assert scores.skill == pytest.approx(0.0, abs=1e-9)
    assert [scores.pointing for scores in by_kind["energy"]] == [False, True, False]  # B is the loudest
    assert pooled_skill(by_kind["true"]) == pytest.approx(1.0, abs=1e-6)
    assert pooled_skill(by_kind["energy"]) == pytest.approx(0.0, abs=1e-9)
    assert pooled_skill(by_kind["random"]) < 0.0
    assert pooled_skill(by_kind["wrong"]) < pooled_skill(by_kind["random"]) - 0.2
    assert not any(scores.own_stem or scores.pointing for scores in by_kind["wrong"])
    assert all(scores.rank_accuracy == 0.0 for scores in by_kind["wrong"])


def test_a_map_on_what_belongs_to_no_stem_is_not_true(apart: tuple[Stem, ...]) -> None:
    """A faint stem below louder sounds that nobody named, its cells shared with them everywhere."""
    faint = Stem("A", recording(0.02 * apart[1].recording.samples + noise(1e-3)))
    truth = stem_truth([faint], MEL, recording(apart[1].recording.samples))
    relevance = truth.rest_share * truth.active
    scores = score_map(relevance, truth, "A")
    assert scores.stem_relevance[0] > 0.0  # there is something of it in every cell
    assert scores.rest_relevance == pytest.approx(1.0 - scores.stem_relevance[0])
    assert scores.rest_relevance > 0.9
    assert not scores.pointing
    assert not scores.own_stem
    own = score_map(truth.true_mask("A"), truth, "A")  # where the rest is silent
    assert own.pointing
    assert own.own_stem


def test_shares_of_the_rest_and_of_stems_add_up(apart: tuple[Stem, ...]) -> None:
    with_rest = stem_truth(apart[:1], MEL, apart[1].recording)
    np.testing.assert_allclose((with_rest.shares.sum(axis=0) + with_rest.rest_share)[with_rest.active], 1.0)
    assert not stem_truth(apart, MEL).rest_share.any()
    assert score_map(with_rest.true_mask("A"), with_rest, "A").rest_relevance < 0.01
    assert score_map(with_rest.rest_share, with_rest, "A").rest_relevance > 0.9


def test_a_map_without_positive_relevance_says_nothing(apart: tuple[Stem, ...]) -> None:
    truth = stem_truth(apart, MEL)
    for relevance in (np.zeros(truth.active.shape), -truth.true_mask("A")):
        scores = score_map(relevance, truth, "A")
        assert (scores.mass_accuracy, scores.time_overlap, scores.rank_accuracy) == (0.0, 0.0, 0.0)
        assert not scores.pointing
        assert not scores.own_stem
        assert scores.skill is not None
        assert scores.skill < 0.0
    assert score_map(-truth.true_mask("A"), truth, "A").stem_relevance[0] == pytest.approx(-1.0, abs=1e-6)


def test_an_instrument_that_is_alone_has_no_skill_and_does_not_count(apart: tuple[Stem, ...]) -> None:
    alone = stem_truth(apart[:1], MEL)
    scores = score_map(alone.true_mask("A"), alone, "A")
    assert scores.skill is None
    assert scores.mass_accuracy == pytest.approx(1.0)
    assert np.isnan(pooled_skill([scores]))
    assert np.isnan(pooled_skill([]))
    truth = stem_truth(apart, MEL)
    among_others = score_map(truth.true_mask("B"), truth, "B")
    assert pooled_skill([scores, among_others]) == pooled_skill([among_others])


@pytest.mark.parametrize(("rest", "stated"), [(0.5e-2, False), (1.5e-2, True)])
def test_a_single_skill_is_stated_where_more_than_one_per_cent_is_not_the_instruments(
    rest: float, stated: bool
) -> None:
    power = np.array([[[1.0 - rest, 0.0]], [[0.0, rest]]])
    truth = slow.truth_of(power, np.zeros((1, 2)), np.ones((1, 2), dtype=bool))
    scores = score_map(np.array([[1.0, 1.0]]), truth, "A")
    assert (scores.skill is not None) == stated  # it would be -99
    assert not scores.alone
    assert pooled_skill([scores]) == pytest.approx((0.5 - (1.0 - rest)) / rest)


def test_a_silent_instrument_can_be_asked_for() -> None:
    truth = stem_truth([burst("A", 0.0, 1.0, 0.1), silent("B")], MEL)
    scores = score_map(truth.true_mask("A"), truth, "B")
    assert (scores.mass_accuracy, scores.energy_share, scores.skill) == (0.0, 0.0, 0.0)
    assert scores.rank_accuracy is None
    assert scores.sounding_share == 0.0
    assert not scores.pointing


def test_pooled_skill_weighs_maps_by_what_could_be_gained() -> None:
    power = np.zeros((2, 1, 2))
    power[:, 0, 0], power[:, 0, 1] = (97.0, 0.0), (0.0, 3.0)
    truth = slow.truth_of(power, np.zeros((1, 2)), np.ones((1, 2), dtype=bool))
    relevance = np.array([[1.0, 1.0]])  # half of it on each
    scores = [score_map(relevance, truth, name) for name in "AB"]
    assert [score.mass_accuracy for score in scores] == [0.5, 0.5]
    assert pooled_skill(scores) == pytest.approx((0.5 - 0.97 + 0.5 - 0.03) / (0.03 + 0.97))
    skills = [score.skill for score in scores if score.skill is not None]
    assert np.mean(skills) < -7.0  # what a mean of ratios would have said


def test_time_overlap_asks_when_and_not_where(apart: tuple[Stem, ...]) -> None:
    truth = stem_truth(apart, MEL)
    when = truth.power[1].sum(axis=0) > 1e-3 * truth.power[1].sum(axis=0).max()
    relevance = np.zeros(truth.active.shape)
    relevance[0, when] = 1.0  # a band that is as good as any
    scores = score_map(relevance, truth, "B")
    assert scores.time_overlap == 1.0
    assert scores.sounding_share == pytest.approx(when.mean())
    assert score_map(relevance, truth, "A").time_overlap == 0.0


def test_what_cannot_be_scored_is_refused(apart: tuple[Stem, ...]) -> None:
    truth = stem_truth(apart, MEL)
    with pytest.raises(InvalidRequestError, match="no stem of 'Violin'"):
        score_map(truth.true_mask("A"), truth, "Violin")
    with pytest.raises(ValueError, match=r"\(128, 3\) is not on the grid"):
        score_map(np.zeros((128, 3)), truth, "A")
