"""Figures of maps: against slow references, and when clips are drawn twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.evaluation.explanations.breakdown import ENERGY_NAMES, by_energy, by_instrument, by_number
from ml.evaluation.explanations.examining import ScoredClip, ScoredMap
from ml.evaluation.explanations.measures import (
    figures_of,
    only,
    pooled_correlation,
    ratio_of_sums,
    relevance_on_stems,
)
from ml.truth.scores import pooled_skill
from ml.truth.shapley import shapley_correlation
from tests.unit.ml.evaluation.explanations.made import NAMES, scored_clips

N_CLIPS = 25


@pytest.fixture(scope="module")
def clips() -> list[ScoredClip]:
    return scored_clips(N_CLIPS, 1)


def maps_of(clips: list[ScoredClip]) -> list[ScoredMap]:
    return [scored for clip in clips for scored in clip.maps]


def test_figures_are_those_of_a_slow_reference(clips: list[ScoredClip]) -> None:
    figures, maps = figures_of(clips, 3), maps_of(clips)
    found = [scored for scored in maps if scored.found]
    ranked = [each.scores.rank_accuracy for each in maps if each.scores.rank_accuracy is not None]
    expected = {
        "coverage": len(found) / len(maps),
        "skill": pooled_skill([scored.scores for scored in maps]),
        "skill_found": pooled_skill([scored.scores for scored in found]),
        "mass_accuracy": np.mean([scored.scores.mass_accuracy for scored in maps]),
        "energy_share": np.mean([scored.scores.energy_share for scored in maps]),
        "pointing": np.mean([scored.scores.pointing for scored in maps]),
        "own_stem": np.mean([scored.scores.own_stem for scored in maps]),
        "rank_accuracy": np.mean(ranked),
        "time_overlap": np.mean([scored.scores.time_overlap for scored in maps]),
        "sounding_share": np.mean([scored.scores.sounding_share for scored in maps]),
        "shapley_correlation": shapley_correlation(
            np.concatenate([scored.scores.stem_relevance for scored in maps]),
            np.concatenate([scored.shapley for scored in maps]),
        ),
        "deletion_gain": np.mean([scored.deletion.drop for scored in maps])
        / np.mean([scored.deletion.random_drop for scored in maps]),
        "loudest_gain": np.mean([scored.deletion.loudest_drop for scored in maps])
        / np.mean([scored.deletion.random_drop for scored in maps]),
        "insertion": np.mean([scored.insertion.regained for scored in maps])
        / np.mean([scored.insertion.possible for scored in maps]),
        "similarity": np.nanmean([clip.similarity for clip in clips]),
    }
    assert (figures.n_clips, figures.n_maps) == (N_CLIPS, len(maps))
    for name, value in expected.items():
        interval = getattr(figures, name)
        assert interval.value == pytest.approx(value), name
        assert interval.low < interval.value < interval.high, name
    assert len(expected) == len(vars(figures)) - 2


def test_a_map_whose_own_skill_is_left_open_counts_in_the_pooled_one(clips: list[ScoredClip]) -> None:
    first = next(clip for clip in clips if len(clip.maps) > 1)
    nearly_all = replace(first.maps[0].scores, mass_accuracy=0.2, energy_share=0.995, skill=None)
    changed = replace(first, maps=(replace(first.maps[0], scores=nearly_all), *first.maps[1:]))
    expected = pooled_skill([scored.scores for scored in changed.maps])
    assert figures_of([changed], 3).skill.value == pytest.approx(expected)
    assert expected < pooled_skill([scored.scores for scored in changed.maps[1:]])


@pytest.mark.parametrize("seed", range(5))
def test_a_weight_of_two_is_a_clip_heard_twice(clips: list[ScoredClip], seed: int) -> None:
    weights = np.random.default_rng(seed).integers(0, 3, N_CLIPS)
    drawn = [clip for clip, weight in zip(clips, weights, strict=True) for _ in range(weight)]

    def parts(scored: ScoredMap) -> tuple[float, float]:
        return scored.deletion.drop, scored.deletion.random_drop

    ones = np.ones((1, len(drawn)))
    for statistic, repeated in (
        (pooled_correlation(clips), pooled_correlation(drawn)),
        (ratio_of_sums(clips, parts), ratio_of_sums(drawn, parts)),
    ):
        assert statistic(weights[None].astype(float)) == pytest.approx(repeated(ones))


def test_what_is_undefined_is_said_to_be(clips: list[ScoredClip]) -> None:
    alone = [clip for clip in clips if len(clip.stems) == 1][:1]
    nothing = only(alone[0], [False])
    figures = figures_of([nothing], 1)
    assert figures.n_maps == 0
    for name in ("skill", "coverage", "shapley_correlation", "deletion_gain", "similarity"):
        assert np.isnan(getattr(figures, name).value), name
    assert np.isnan(figures_of(alone, 1).skill.value)  # nothing beside it to be skilled about
    assert figures_of(alone, 1).pointing.value in (0.0, 1.0)


def test_a_tiny_denominator_leaves_a_ratio_undefined(clips: list[ScoredClip]) -> None:
    def parts(scored: ScoredMap) -> tuple[float, float]:
        return scored.deletion.drop, 0.009

    weights = np.ones((1, N_CLIPS))
    assert np.isnan(ratio_of_sums(clips, parts, 0.01)(weights))
    assert ratio_of_sums(clips, parts)(weights) > 1.0


def test_relevance_on_stems_is_a_mean_over_the_clips_in_which_both_play(clips: list[ScoredClip]) -> None:
    means = relevance_on_stems(clips, [*NAMES, "Tuba"])
    for row, whose in enumerate(NAMES):
        for column, on in enumerate(NAMES):
            together = [
                scored.scores.stem_relevance[clip.stems.index(on)]
                for clip in clips
                for scored in clip.maps
                if scored.instrument == whose and on in clip.stems
            ]
            assert means[row, column] == pytest.approx(np.mean(together))
    assert np.isnan(means[-1]).all()
    assert np.isnan(means[:, -1]).all()


def test_parts_make_up_the_whole(clips: list[ScoredClip]) -> None:
    groups, n_maps = {"protocol": clips, "nobody": []}, len(maps_of(clips))
    for parts in (by_number(groups, 1), by_energy(groups, 1), by_instrument(groups, 1)):
        assert sum(by_group["protocol"].n_maps for by_group in parts.values()) == n_maps
        assert all(set(by_group) == {"protocol"} for by_group in parts.values())
    numbers = by_number(groups, 1)
    assert list(numbers) == ["1 at once", "2 at once", "3 at once", "4 at once"]
    assert numbers["3 at once"]["protocol"].n_maps == 3 * numbers["3 at once"]["protocol"].n_clips
    assert list(by_energy(groups, 1)) == list(ENERGY_NAMES)
    loud = [each for each in maps_of(clips) if each.scores.energy_share >= 0.3]
    assert by_energy(groups, 1)["over 30 %"]["protocol"].n_maps == len(loud)
    assert by_instrument(groups, 1)["Violin"]["protocol"].pointing.value == pytest.approx(
        np.mean([each.scores.pointing for each in maps_of(clips) if each.instrument == "Violin"])
    )
