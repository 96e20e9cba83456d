"""Changes of a stem's sound and the figures that show them, on tones whose pitch and loudness are known."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluation.counterfactuals.harmonics import brightness_hz, even_share, tilted, without_even
from ml.evaluation.counterfactuals.onsets import ONSET_S, cut_off, faded_in, onset_frames, onset_level_db
from ml.evaluation.counterfactuals.pitch import frequency_hz, onset_cents, steadied, wavering_cents
from ml.synthesis.plan import Note
from ml.synthesis.render import SAMPLE_RATE_HZ

NOTES = (Note(0.25, 1.0, 64, 100), Note(1.5, 1.25, 69, 100))
CLIP_S = 3.0
VIBRATO_HZ = 5.5
TO_A_CENT = 1.5  # cents, of a depth that is measured through a 40 Hz low-pass


def voice(depth_cents: float = 0.0, scoop_cents: float = 0.0, harmonics: int = 6) -> np.ndarray:
    """Both notes, with a vibrato and a pitch that begins off and arrives within 80 ms."""
    sound = np.zeros(round(CLIP_S * SAMPLE_RATE_HZ))
    for note in NOTES:
        since_s = np.arange(round(note.duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        cents = depth_cents * np.sin(2 * np.pi * VIBRATO_HZ * since_s)
        cents += scoop_cents * np.clip(1.0 - since_s / 0.08, 0.0, 1.0)
        phase = 2 * np.pi * np.cumsum(frequency_hz(note.pitch) * 2.0 ** (cents / 1200.0)) / SAMPLE_RATE_HZ
        tone = np.sum([np.sin(k * phase) / k for k in range(1, harmonics + 1)], axis=0)
        first = round(note.start_s * SAMPLE_RATE_HZ)
        sound[first : first + len(tone)] += 0.2 * tone
    return sound.astype(np.float32)


@pytest.mark.parametrize("depth_cents", [0.0, 10.0, 30.0])
def test_the_depth_of_a_vibrato_is_measured(depth_cents: float) -> None:
    assert wavering_cents(voice(depth_cents), NOTES) == pytest.approx(depth_cents, abs=TO_A_CENT)


def test_a_vibrato_is_taken_out_and_notes_stay_where_they_are() -> None:
    before = voice(30.0)
    after = steadied(before, NOTES)
    assert after.shape == before.shape
    assert wavering_cents(after, NOTES) < 0.15 * wavering_cents(before, NOTES)
    envelopes = [
        np.sqrt(np.convolve(np.square(sound), np.ones(441) / 441, "same")) for sound in (before, after)
    ]
    starts = [np.flatnonzero(envelope > 0.05)[0] / SAMPLE_RATE_HZ for envelope in envelopes]
    assert starts[0] == pytest.approx(starts[1], abs=0.01)


def test_a_steady_pitch_is_left_alone() -> None:
    before = voice()
    after = steadied(before, NOTES)
    assert np.abs(after - before).max() < 0.02 * np.abs(before).max()


def test_a_scoop_is_measured_at_the_onset() -> None:
    assert onset_cents(voice(), NOTES) == pytest.approx(0.0, abs=TO_A_CENT)
    assert -70.0 < onset_cents(voice(scoop_cents=-80.0), NOTES) < -30.0
    assert 30.0 < onset_cents(voice(scoop_cents=80.0), NOTES) < 70.0


def test_onsets_are_faded_and_cut_and_the_rest_is_kept() -> None:
    sound = voice()
    assert onset_level_db(sound, NOTES) == pytest.approx(0.0, abs=0.5)
    faded, cut = faded_in(sound, NOTES), cut_off(sound, NOTES)
    assert -14.0 < onset_level_db(faded, NOTES) < -8.0
    assert onset_level_db(cut, NOTES) == pytest.approx(-80.0)
    for note in NOTES:
        first = round(note.start_s * SAMPLE_RATE_HZ)
        onset = first + round(ONSET_S * SAMPLE_RATE_HZ)
        assert not cut[first:onset].any()
        kept = slice(onset + round(0.01 * SAMPLE_RATE_HZ), onset + round(0.3 * SAMPLE_RATE_HZ))
        np.testing.assert_array_equal(cut[kept], sound[kept])
        np.testing.assert_array_equal(faded[kept], sound[kept])


def test_what_still_rings_fades_before_the_next_note() -> None:
    ringing = np.ones(SAMPLE_RATE_HZ, dtype=np.float32)
    cut = cut_off(ringing, (Note(0.5, 0.5, 60, 100),))
    steps = np.abs(np.diff(cut))
    assert steps.max() < 0.01  # no click
    assert cut[round(0.55 * SAMPLE_RATE_HZ)] == 0.0


def test_frames_of_onsets_are_those_that_see_them() -> None:
    times_s = np.arange(0.0, 3.0, 0.05)
    seen = times_s[onset_frames(times_s, NOTES, 0.023)]
    np.testing.assert_allclose(seen, [0.25, 0.3, 1.5, 1.55], atol=1e-9)


def test_even_harmonics_are_weakened_by_twenty_decibels_and_odd_ones_kept() -> None:
    before = voice()
    after = without_even(before, NOTES)
    assert even_share(before, NOTES) > 0.3
    assert even_share(after, NOTES) < 0.05
    for note in NOTES:
        first = round((note.start_s + 0.2) * SAMPLE_RATE_HZ)
        part = slice(first, first + round(0.5 * SAMPLE_RATE_HZ))
        times_s = np.arange(part.stop - part.start) / SAMPLE_RATE_HZ
        for harmonic in range(1, 7):
            wave = np.exp(-2j * np.pi * harmonic * frequency_hz(note.pitch) * times_s) * np.hanning(
                len(times_s)
            )
            gain_db = 20.0 * np.log10(abs(after[part] @ wave) / abs(before[part] @ wave))
            assert gain_db == pytest.approx(-20.0 if harmonic % 2 == 0 else 0.0, abs=0.5)


def test_darker_is_six_decibels_an_octave() -> None:
    times_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for octave in range(4):
        tone = np.sin(2 * np.pi * 500.0 * 2.0**octave * times_s).astype(np.float32)
        middle = slice(SAMPLE_RATE_HZ // 2, SAMPLE_RATE_HZ)
        level_db = 20.0 * np.log10(np.abs(tilted(tone, ())[middle]).max())
        assert level_db == pytest.approx(-6.0 * (octave + 1), abs=0.7)
    assert brightness_hz(tilted(voice(), NOTES)) < brightness_hz(voice())


def test_what_cannot_be_told_is_not_a_number() -> None:
    short = (Note(0.1, 0.05, 60, 100),)
    silence = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    for value in (
        wavering_cents(silence, short),
        onset_cents(silence, NOTES),
        onset_level_db(silence, NOTES),
        even_share(silence, NOTES),
        brightness_hz(silence),
    ):
        assert np.isnan(value)
    assert not steadied(silence, NOTES).any()
    assert not without_even(silence, NOTES).any()
