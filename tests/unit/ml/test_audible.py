"""Evidence one can hear: parts that add up, masks that hold what they should, probabilities of both."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ml.audible import (
    KEPT_SHARE,
    PEAK_CEILING,
    SMOOTHING_BANDS,
    SMOOTHING_FRAMES,
    evidence_mask,
    make_audible,
    match_loudness,
    split,
)
from ml.classification import classify
from ml.explanation import Explanation
from ml.melspec import MelConfig, level_db
from ml.model import Model
from ml.recording import Recording

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
    kept, removed = split(recording, mask, MEL)
    np.testing.assert_allclose(kept.samples + removed.samples, recording.samples, atol=FLOAT32)
    everything, nothing = split(recording, np.ones_like(mask), MEL)
    np.testing.assert_allclose(everything.samples, recording.samples, atol=FLOAT32)
    assert np.abs(nothing.samples).max() < FLOAT32
    assert not split(recording, np.zeros_like(mask), MEL)[0].samples.any()


def test_a_mask_on_one_tone_keeps_it_and_removes_it() -> None:
    recording = Recording(tone(440.0) + tone(5_000.0), RATE)
    n_frames = MEL.n_frames(len(recording.samples))
    mask = np.zeros((MEL.n_mels, n_frames), dtype=np.float32)
    mask[MEL.frequencies_hz < 1_500.0] = 1.0
    kept, removed = split(recording, mask, MEL)
    middle = slice(4_096, -4_096)
    np.testing.assert_allclose(kept.samples[middle], tone(440.0)[middle], atol=1e-3)
    np.testing.assert_allclose(removed.samples[middle], tone(5_000.0)[middle], atol=1e-3)


def test_cells_above_one_half_hold_the_promised_share() -> None:
    relevance = np.random.default_rng(2).normal(size=(40, 60)).astype(np.float32) ** 3
    mask = evidence_mask(relevance)
    assert mask.min() >= 0.0
    assert mask.max() <= 1.0
    smooth = gaussian_filter(np.maximum(relevance, 0.0), (SMOOTHING_BANDS, SMOOTHING_FRAMES), mode="constant")
    held = smooth[mask >= 0.5].sum() / smooth.sum()
    assert held == pytest.approx(KEPT_SHARE, abs=0.01)
    only_negative = evidence_mask(-np.abs(relevance))
    assert not only_negative.any()
    spot = np.zeros((40, 60), dtype=np.float32)
    spot[20, 30] = 1.0
    around = evidence_mask(spot)
    assert tuple(int(index) for index in np.unravel_index(around.argmax(), around.shape)) == (20, 30)
    assert around[:10].max() < 0.01


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
    assert evidence.probability_kept == 0.0
    assert evidence.probability_removed > 0.9
