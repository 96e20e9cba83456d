"""Explaining a clip: who enters, what is measured, and that it is measured against the right things."""

from __future__ import annotations

import numpy as np
import pytest

from ml.errors import UnknownMethodError
from ml.evaluation.explanations.contenders import (
    BINARY,
    CONTRAST,
    SOFT,
    Contender,
    contenders_of,
)
from ml.evaluation.explanations.examining import Examiner, Findings, Task
from ml.evaluation.explanations.insertion import insertions
from ml.evaluation.explanations.material import ExplainedSet
from ml.evaluation.explanations.scene import HeardScene, Scene
from ml.evaluation.explanations.steadiness import MOST_ERROR, steadiness_of
from ml.model import Model
from ml.relevance.baselines import BASELINES
from ml.relevance.engine import explain_targets
from ml.relevance.methods import METHODS, method_named
from ml.relevance.target import Target
from ml.truth.faithfulness import FRACTION, FRACTIONS, deletion
from ml.truth.patches import PATCH, active_patches, noise_floor
from ml.truth.scores import score_map

CLOSE = 1e-4  # of logits in float32


@pytest.fixture(scope="module")
def scene(small_model: Model, sets: tuple[ExplainedSet, ...]) -> HeardScene:
    return HeardScene.of(small_model, Scene.of(sets[0].clips[0]))


def test_everybody_enters_once() -> None:
    everybody = contenders_of(())
    assert len({each.key for each in everybody}) == len(everybody) == 2 * len(METHODS) + len(BASELINES) + 2
    assert [each.name for each in contenders_of(("gamma",)) if each.kind == "method"] == ["gamma", "gamma"]
    with pytest.raises(UnknownMethodError):
        contenders_of(("gamma", "guesswork"))
    with pytest.raises(ValueError, match="not made from a model"):
        Contender(SOFT, "ceiling").maker()


def test_a_method_explains_the_logit_or_holds_it_against_the_others(scene: HeardScene) -> None:
    for contender in contenders_of(("epsilon",))[:2]:
        maps = contender.maker()(scene.model, scene.inputs, scene.labels)
        targets = [Target(label, against_others=contender.target == CONTRAST) for label in scene.labels]
        expected = explain_targets(scene.model, scene.inputs, targets, method=method_named("epsilon"))
        np.testing.assert_array_equal(maps, np.stack([each.maps for each in expected]))


def test_the_ceiling_points_at_the_truth(scene: HeardScene) -> None:
    for name in (SOFT, BINARY):
        for mask, instrument in zip(scene.true_masks(name), scene.instruments, strict=True):
            scores = score_map(scene.merged(mask), scene.truth, instrument)
            assert scores.pointing
            assert scores.own_stem
            assert scores.skill is not None
            assert scores.skill > 0.3


def test_depth_says_who_enters(examiner: Examiner) -> None:
    chosen = examiner.chosen
    assert examiner.entered("scored", compared=False) == (chosen,)
    compared = examiner.entered("compared", compared=False)
    assert compared[0] == chosen
    assert set(examiner.contenders) - set(compared) == {Contender("integrated-gradients", "baseline")}
    assert set(examiner.entered("examined", compared=False)) == set(examiner.contenders)
    assert {each.target for each in examiner.entered("examined", compared=True)} == {"logit"}


def test_maps_are_scored_against_stems_and_network(
    examined: Findings, examiner: Examiner, scene: HeardScene
) -> None:
    assert len(examined.scored) == 2
    assert set(examined.scored[0]) == {each.key for each in examiner.contenders}
    clip = examined.scored[0][examiner.chosen.key]
    assert clip.stems == scene.truth.instruments
    maps = examiner.chosen.maker()(scene.model, scene.inputs, scene.labels)
    for scored, label, of_windows in zip(clip.maps, scene.labels, maps, strict=True):
        assert scored.found == (scored.instrument in scene.found)
        assert scored.scores == score_map(scene.merged(of_windows), scene.truth, scored.instrument)
        np.testing.assert_array_equal(scored.shapley, scene.shapley[:, label])
        alone = deletion(scene.model, scene.inputs, label, of_windows)
        assert scored.deletion.drop == pytest.approx(alone.drop, abs=CLOSE)
        assert scored.deletion.random_drop == pytest.approx(alone.random_drop, abs=CLOSE)
    loudness = examined.scored[0]["loudness"]
    assert loudness.similarity == pytest.approx(1.0)
    for scored in loudness.maps:
        assert scored.scores.skill == pytest.approx(0.0, abs=0.01)


def test_insertion_is_that_of_a_slow_reference(scene: HeardScene) -> None:
    rng = np.random.default_rng(3)
    relevance = rng.normal(size=(2, *scene.inputs.shape)).astype(np.float32)
    labels = scene.labels[:2]
    found = insertions(scene.model, scene.inputs, labels, relevance)
    for label, maps, scores in zip(labels, relevance, found, strict=True):
        rises = []
        for window, of_window in zip(scene.inputs, maps, strict=True):
            active, floor = active_patches(window, scene.model.mel), noise_floor(window, scene.model.mel)
            sums = {
                (row, column): of_window[
                    row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH
                ].sum(dtype=np.float64)
                for row, column in np.argwhere(active).tolist()
            }
            first = sorted(sums, key=lambda place: -sums[place])[: int(np.ceil(FRACTION * len(sums)))]
            emptied = window.copy()
            for row, column in sums:
                rows = slice(row * PATCH, (row + 1) * PATCH)
                columns = slice(column * PATCH, (column + 1) * PATCH)
                emptied[rows, columns] = np.minimum(window[rows, columns], floor[rows, None])
            given = emptied.copy()
            for row, column in first:
                rows = slice(row * PATCH, (row + 1) * PATCH)
                columns = slice(column * PATCH, (column + 1) * PATCH)
                given[rows, columns] = window[rows, columns]
            empty, some, everything = scene.model.logits(np.stack([emptied, given, window]))[:, label]
            rises.append((some - empty, everything - empty))
        assert (scores.regained, scores.possible) == pytest.approx(np.mean(rises, axis=0), abs=CLOSE)


def test_no_window_regains_nothing(scene: HeardScene) -> None:
    nothing = scene.inputs[:0]
    (found,) = insertions(scene.model, nothing, [0], nothing[None])
    assert (found.regained, found.possible) == (0.0, 0.0)


def test_a_closer_look(examined: Findings, scene: HeardScene) -> None:
    assert examined.checks is not None
    n_maps = len(scene.instruments)
    assert len(examined.checks.stability) == len(examined.curves) == n_maps
    assert len(examined.curves[0].relevance.deletion) == len(FRACTIONS)
    assert {part.layer for part in examined.checks.layers} == {f"features.conv{n}" for n in range(1, 6)}
    steadiness = steadiness_of([examined], 1)
    assert steadiness.exact.value == 1.0
    assert max(layer.largest_error for layer in steadiness.layers) <= MOST_ERROR
    assert steadiness.gain.value > 0.9
    assert steadiness.randomised[0].layer == "head"
    assert steadiness.randomised[-1].similarity.value < 0.9
    assert (steadiness.n_clips, steadiness.n_maps) == (1, n_maps)


def test_nothing_examined_is_nothing_known() -> None:
    steadiness = steadiness_of([], 1)
    assert steadiness.n_clips == 0
    assert np.isnan(steadiness.gain.value)


def test_only_what_sounds_is_explained(
    small_model: Model, sets: tuple[ExplainedSet, ...], examiner: Examiner
) -> None:
    scene = Scene.of(sets[0].clips[0])
    for stem in scene.stems:
        stem.recording.samples[:] = 0.0
    scene.mix.samples[:] = 0.0
    silent = HeardScene.of(small_model, scene)
    assert silent.instruments == ()
    assert len(silent.inputs) == 0
    assert examiner(Task(sets[0].clips[0], "scored")).checks is None
