"""Quality of explanations: what it is measured from, and when it warns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.audible import AudibleEvidence
from ml.classification import InstrumentScore, listen
from ml.explained import STEP_FRAMES, EvidenceTimeline, Explanation
from ml.model import Model
from ml.proof import MOST_MIX_WINDOWS, InstrumentTruth, ground_of, truths_of
from ml.quality import (
    LARGEST_GAP,
    LEAST_DELETION_GAIN,
    RANDOM_DELETIONS,
    Conservation,
    FoundMap,
    Likeness,
    Quality,
    likeness,
    quality_of,
    random_draws,
)
from ml.recording import Recording
from ml.relevance.evidence import Evidence
from ml.relevance.target import Target
from ml.truth.faithfulness import N_RANDOM, DeletionScores, deletions
from ml.truth.stability import ALIKE
from ml.truth.stems import Stem

RATE = 44_100
SOUND = Recording(np.zeros(10, dtype=np.float32), RATE)
FOUND, MISSED = InstrumentScore("Violin", 0.9, present=True), InstrumentScore("Violin", 0.1, present=False)
HEARD = AudibleEvidence(SOUND, SOUND, 0.8, 0.1, 0.9, 1, 0.5)
CONSERVED = Conservation(4.0, 2.0, 0.5, 0.0)
DELETED = DeletionScores(drop=3.0, random_drop=1.0, loudest_drop=2.0)


def judged(
    score: InstrumentScore = FOUND,
    audible: AudibleEvidence = HEARD,
    conservation: Conservation = CONSERVED,
    deletion: DeletionScores = DELETED,
    *,
    most_alike: Likeness | None = None,
    truth: InstrumentTruth | None = None,
) -> Quality:
    return quality_of(
        score, audible, conservation=conservation, deletion=deletion, most_alike=most_alike, truth=truth
    )


def codes(quality: Quality) -> list[str]:
    return [warning.code for warning in quality.warnings]


def test_a_good_map_raises_no_warning() -> None:
    assert codes(judged(most_alike=Likeness("Trumpet", ALIKE - 0.01))) == []


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        ("not-found", judged(score=MISSED)),
        ("conservation-gap", judged(conservation=Conservation(4.0, -0.1, LARGEST_GAP + 0.01, 0.0))),
        ("conservation-gap", judged(conservation=Conservation(4.0, 9.0, -LARGEST_GAP - 0.01, 0.0))),
        ("maps-alike", judged(most_alike=Likeness("Trumpet", ALIKE))),
        ("kept-loses-label", judged(audible=replace(HEARD, probability_kept=0.49))),
        ("removed-keeps-label", judged(audible=replace(HEARD, probability_removed=0.46))),
        ("low-deletion-gain", judged(deletion=DeletionScores(LEAST_DELETION_GAIN - 0.01, 1.0, 2.0))),
        ("low-deletion-gain", judged(deletion=DeletionScores(0.001, -1.0, 2.0))),
    ],
)
def test_each_fault_raises_its_own_warning(code: str, quality: Quality) -> None:
    assert codes(quality) == [code]
    assert quality.warnings[0].detail.endswith(".")


def test_a_large_drop_beside_a_random_rise_is_no_fault() -> None:
    assert codes(judged(deletion=DeletionScores(2.0, -0.5, 0.0))) == []


@pytest.mark.parametrize("n_windows", [1, 2, 3, 5, 24])
def test_a_short_clip_is_deleted_from_as_often_as_a_long_one(n_windows: int) -> None:
    """A single window's random drop would else be known to no better than a half."""
    assert n_windows * random_draws(n_windows) >= RANDOM_DELETIONS
    assert random_draws(n_windows) >= N_RANDOM
    assert random_draws(0) >= N_RANDOM


def test_an_answer_draws_as_often_as_it_says(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    inputs = listen(shipped, example).inputs
    maps = np.stack([each.relevance_map for each in explanation.instruments])[:, None]
    assert maps.shape[2:] == inputs.shape[1:]  # one window: what was merged is what was made
    labels = [shipped.card.labels.index(each.instrument) for each in explanation.instruments]
    expected = deletions(shipped, inputs, labels, maps, n_random=RANDOM_DELETIONS)
    for each, scores in zip(explanation.instruments, expected, strict=True):
        assert each.quality.deletion.random_drop == pytest.approx(scores.random_drop, rel=1e-4)


def test_what_was_not_found_is_not_blamed_for_having_nothing_to_keep() -> None:
    mute = replace(HEARD, probability_kept=0.0, probability_removed=0.1, probability=0.1)
    assert codes(judged(MISSED, mute, deletion=DeletionScores(0.0, 0.0, 0.0))) == ["not-found"]


def test_a_warning_names_its_values() -> None:
    (warning,) = judged(most_alike=Likeness("Trumpet", 0.77)).warnings
    assert "Trumpet" in warning.detail
    assert "0.77" in warning.detail
    (warning,) = judged(score=MISSED).warnings
    assert "Violin was not found (probability 0.10)" in warning.detail


def test_likeness_is_to_the_most_similar_other_map() -> None:
    rng = np.random.default_rng(0)
    first = rng.random((8, 9)).astype(np.float32)
    near = first + 0.1 * rng.random((8, 9)).astype(np.float32)
    apart = np.zeros((8, 9), dtype=np.float32)
    apart[0, 0] = 1.0
    found = likeness(first, [FoundMap("b", near), FoundMap("c", apart)])
    cosine = float((first * near).sum() / np.linalg.norm(first) / np.linalg.norm(near))
    assert found is not None
    assert found.instrument == "b"
    assert found.similarity == pytest.approx(cosine, rel=1e-6)
    assert likeness(first, []) is None


def test_conservation_compares_what_started_with_what_arrived() -> None:
    maps = np.full((2, 3, 4), 0.25, dtype=np.float32)  # 3 in each window
    evidence = Evidence(np.array([4.0, 8.0]), np.zeros((2, 5)), maps, (), maps[None])
    merged = np.full((3, 4), 0.25, dtype=np.float32)
    found = Conservation.of(evidence, merged, [merged * np.float32(0.5), merged * np.float32(0.4)])
    assert (found.logit, found.relevance, found.gap) == (6.0, 3.0, 0.5)
    assert found.concept_error == pytest.approx(0.1, rel=1e-5)
    nothing = Evidence(np.zeros(0), np.zeros((0, 5)), maps[:0], (), maps[None, :0])
    assert Conservation.of(nothing, merged, [merged]) == Conservation(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("n_frames", [1, STEP_FRAMES, 5 * STEP_FRAMES + 3])
def test_a_timeline_is_the_map_summed_over_bands_and_steps(n_frames: int) -> None:
    relevance = np.random.default_rng(1).normal(size=(6, n_frames)).astype(np.float32)
    timeline = EvidenceTimeline.of(relevance, 2.0, 0.01)
    slow = [
        relevance[:, first : first + STEP_FRAMES].astype(np.float64).sum()
        for first in range(0, n_frames, STEP_FRAMES)
    ]
    np.testing.assert_allclose(timeline.evidence, slow, rtol=1e-12, atol=1e-12)
    assert (timeline.start_s, timeline.step_s) == (2.0, STEP_FRAMES * 0.01)


def test_every_answer_has_its_quality(explanation: Explanation) -> None:
    """On a duet that is heard well: deletion hurts more than at random, maps differ; there are no stems."""
    for instrument in explanation.instruments:
        quality = instrument.quality
        assert quality.deletion.drop > quality.deletion.random_drop
        assert quality.most_alike is not None
        assert quality.most_alike.similarity < ALIKE
        assert quality.most_alike.instrument != instrument.instrument
        assert quality.truth is None
        assert instrument.notes is None


def tones(*frequencies_hz: float, duration_s: float = 1.0) -> list[Stem]:
    times_s = np.arange(round(duration_s * RATE)) / RATE
    names = ("Violin", "Trumpet", "Piccolo", "Celesta", "Soprano Sax", "Hammond Organ", "Acoustic Bass")
    return [
        Stem(name, Recording((0.1 * np.sin(2 * np.pi * hz * times_s)).astype(np.float32), RATE))
        for name, hz in zip(names, frequencies_hz, strict=False)
    ]


def mixed(stems: list[Stem]) -> Recording:
    return Recording(np.sum([stem.recording.samples for stem in stems], axis=0, dtype=np.float32), RATE)


def test_what_stems_leave_is_nobodys(shipped: Model) -> None:
    stems = tones(440.0, 1_320.0)
    ground = ground_of(shipped, mixed(stems), stems)
    assert ground is not None
    assert not ground.truth.rest_power.any()
    hiss = np.random.default_rng(0).normal(0.0, 0.2, RATE).astype(np.float32)
    noisy = Recording(mixed(stems).samples + hiss, RATE)
    ground = ground_of(shipped, noisy, stems)
    assert ground is not None
    assert ground.truth.rest_power.any()
    assert float(ground.truth.energy_shares.sum()) < 0.9


def test_a_contrasts_shapley_values_are_differences(shipped: Model) -> None:
    stems = tones(440.0, 1_320.0)
    part = mixed(stems)
    ground = ground_of(shipped, part, stems)
    assert ground is not None
    assert ground.shapley is not None
    violin, trumpet = (shipped.card.labels.index(name) for name in ("Violin", "Trumpet"))
    relevance = np.ones(ground.truth.active.shape, dtype=np.float32)
    (plain,) = truths_of(ground, ["Violin"], [Target(violin)], [relevance])
    (contrast,) = truths_of(ground, ["Violin"], [Target(violin, trumpet)], [relevance])
    assert plain is not None
    assert contrast is not None
    assert [effect.shapley for effect in plain.stems] == pytest.approx(ground.shapley[:, violin].tolist())
    assert [effect.shapley for effect in contrast.stems] == pytest.approx(
        (ground.shapley[:, violin] - ground.shapley[:, trumpet]).tolist()
    )


def test_too_many_mixes_are_not_heard(shipped: Model) -> None:
    """Seven stems for a quarter of a minute would be more windows than one request may take."""
    stems = tones(220.0, 330.0, 440.0, 550.0, 660.0, 770.0, 880.0, duration_s=15.0)
    assert 2 ** len(stems) * 5 > MOST_MIX_WINDOWS
    ground = ground_of(shipped, mixed(stems), stems)
    assert ground is not None
    assert ground.shapley is None
    labels = [shipped.card.labels.index(name) for name in ("Violin", "Trumpet")]
    maps = [np.ones(ground.truth.active.shape, dtype=np.float32)] * 2
    found = truths_of(ground, ["Violin", "Trumpet"], [Target(label) for label in labels], maps)
    for truth in found:
        assert truth is not None
        assert truth.shapley_correlation is None
        assert all(effect.shapley is None for effect in truth.stems)
        (warning,) = judged(truth=truth).warnings
        assert warning.code == "shapley-left-out"
        assert "7 stems" in warning.detail


def test_stems_that_were_measured_are_not_said_to_be_left_out(shipped: Model) -> None:
    stems = tones(440.0, 1_320.0)
    ground = ground_of(shipped, mixed(stems), stems)
    assert ground is not None
    relevance = np.ones(ground.truth.active.shape, dtype=np.float32)
    target = Target(shipped.card.labels.index("Violin"))
    (truth,) = truths_of(ground, ["Violin"], [target], [relevance])
    assert codes(judged(truth=truth)) == []
