"""Evidence one can hear: parts that add up, probabilities of both, weaker evidence behind the strong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml.audible import LOST_SHARE, PEAK_CEILING, make_audible, match_loudness
from ml.classification import classify
from ml.explanation import Explanation
from ml.masks import DEFAULT_MASK
from ml.melspec import MelConfig, level_db
from ml.model import Model
from ml.recording import Recording
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target
from ml.splitting import Splitter

MEL = MelConfig()
RATE = MEL.sample_rate_hz
FLOAT32 = 1e-5  # of full scale: a transform there and back


def tone(frequency_hz: float, duration_s: float = 2.0) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * RATE)) / RATE)).astype(
        np.float32
    )


def test_kept_and_removed_add_up_and_trivial_masks_are_trivial() -> None:
    recording = Recording(np.random.default_rng(0).normal(0.0, 0.1, 50_000).astype(np.float32), RATE)
    n_frames = MEL.n_frames(50_000)
    mask = np.random.default_rng(1).random((MEL.n_mels, n_frames)).astype(np.float32)
    kept, removed = Splitter.of(recording, MEL).split(mask)
    np.testing.assert_allclose(kept.samples + removed.samples, recording.samples, atol=FLOAT32)
    everything, nothing = Splitter.of(recording, MEL).split(np.ones_like(mask))
    np.testing.assert_allclose(everything.samples, recording.samples, atol=FLOAT32)
    assert np.abs(nothing.samples).max() < FLOAT32
    assert not Splitter.of(recording, MEL).split(np.zeros_like(mask))[0].samples.any()


def test_a_mask_on_one_tone_keeps_it_and_removes_it() -> None:
    recording = Recording(tone(440.0) + tone(5_000.0), RATE)
    n_frames = MEL.n_frames(len(recording.samples))
    mask = np.zeros((MEL.n_mels, n_frames), dtype=np.float32)
    mask[MEL.frequencies_hz < 1_500.0] = 1.0
    kept, removed = Splitter.of(recording, MEL).split(mask)
    middle = slice(4_096, -4_096)
    np.testing.assert_allclose(kept.samples[middle], tone(440.0)[middle], atol=1e-3)
    np.testing.assert_allclose(removed.samples[middle], tone(5_000.0)[middle], atol=1e-3)


def test_loudness_is_matched_within_bounds() -> None:
    whole = Recording(tone(440.0), RATE)
    quiet = Recording(whole.samples * np.float32(0.3), RATE)
    np.testing.assert_allclose(match_loudness(quiet, whole).samples, whole.samples, rtol=1e-4)
    nearly_nothing = Recording(whole.samples * np.float32(1e-4), RATE)
    assert np.abs(match_loudness(nearly_nothing, whole).samples).max() < 0.01
    click = np.zeros(RATE, dtype=np.float32)
    click[100] = 0.5
    assert np.abs(match_loudness(Recording(click, RATE), whole).samples).max() <= PEAK_CEILING + FLOAT32
    silence = Recording(np.zeros(10, dtype=np.float32), RATE)
    assert match_loudness(silence, whole) is silence


def test_probabilities_are_the_models_on_what_is_heard(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    for instrument in explanation.instruments:
        evidence = instrument.audible
        for part, expected in (
            (evidence.kept, evidence.probability_kept),
            (evidence.removed, evidence.probability_removed),
        ):
            scores = {score.instrument: score.probability for score in classify(shipped, part).instruments}
            assert scores[instrument.instrument] == pytest.approx(expected)
            assert len(part.samples) == len(example.samples)


def test_without_relevance_nothing_is_kept(shipped: Model, example: Recording) -> None:
    nothing = np.zeros_like(level_db(example.samples, MEL))
    evidence = make_audible(shipped, example, nothing, "Trumpet")
    assert not evidence.kept.samples.any()
    assert (evidence.probability_kept, evidence.kept_energy_share, evidence.n_maps) == (0.0, 0.0, 1)
    assert evidence.probability_removed == pytest.approx(evidence.probability)
    assert not evidence.keeps_label
    assert not evidence.loses_label


def test_what_survives_the_first_map_is_explained_again(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    maps = {each.instrument: each.relevance_map for each in explanation.instruments}
    spot = np.zeros_like(maps["Trumpet"])
    peak = np.unravel_index(maps["Trumpet"].argmax(), spot.shape)
    spot[peak] = 1.0  # a map that knows of one cell only: the label survives it
    one, more = (
        make_audible(
            shipped,
            example,
            spot,
            "Trumpet",
            others=[maps["Celesta"]],
            settings=replace(DEFAULT_MASK, most_maps=most),
        )
        for most in (1, 3)
    )
    assert one.probability_removed > LOST_SHARE * one.probability
    assert one.n_maps == 1 < more.n_maps
    assert more.probability_removed < one.probability_removed
    assert more.kept_energy_share > one.kept_energy_share


def test_other_instruments_keep_what_is_theirs(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    maps = {each.instrument: each.relevance_map for each in explanation.instruments}
    one_map = replace(DEFAULT_MASK, most_maps=1)  # more maps keep more, with others or without
    alone, beside = (
        make_audible(shipped, example, maps["Celesta"], "Celesta", others=others, settings=one_map)
        for others in ((), [maps["Trumpet"]])
    )
    assert beside.kept_energy_share < alone.kept_energy_share
    assert beside.keeps_label
    left = {each.instrument: each.probability for each in classify(shipped, beside.removed).instruments}
    assert left["Trumpet"] > 0.5


def test_a_contrast_is_held_in_every_map_of_the_mask(
    shipped: Model, example: Recording, explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the mask leaves is asked the very question that the first map answers."""
    targets: list[Target] = []

    def asking(*args: Any, **kwargs: Any) -> Any:
        targets.extend(args[2])
        return explain_targets(*args, **kwargs)

    monkeypatch.setattr("ml.audible.explain_targets", asking)
    spot = np.zeros_like(explanation.instruments[0].relevance_map)
    spot[0, 0] = 1.0  # nearly nothing is kept: the label survives it
    make_audible(shipped, example, spot, "Trumpet", against="Celesta")
    trumpet, celesta = (shipped.card.labels.index(name) for name in ("Trumpet", "Celesta"))
    assert targets
    assert set(targets) == {Target(trumpet, celesta)}


def test_silence_has_no_evidence(shipped: Model) -> None:
    silence = Recording(np.zeros(RATE, dtype=np.float32), RATE)
    nothing = np.zeros_like(level_db(silence.samples, MEL))
    evidence = make_audible(shipped, silence, nothing, "Trumpet")
    assert evidence.probability == evidence.probability_kept == evidence.probability_removed == 0.0
    assert evidence.kept_energy_share == 0.0
