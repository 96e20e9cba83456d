"""The front end: librosa's definitions, axes, scaling."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from ml import melspec, stft
from ml.melspec import SILENCE_DB, MelConfig, MelMismatchError, level_db, reference_levels, scaled

MEL = MelConfig()
FLOAT32_DB = 1e-4  # dB: float32 sums in another order differ by some 1e-5


def noise(n_samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, n_samples).astype(np.float32)


@pytest.mark.parametrize("n_samples", [2_048, 2_559, 44_100, 220_500])
def test_levels_are_librosas(n_samples: int) -> None:
    samples = noise(n_samples)
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=MEL.sample_rate_hz,
        n_fft=MEL.window_samples,
        hop_length=MEL.hop_samples,
        n_mels=MEL.n_mels,
        fmin=MEL.lowest_hz,
        fmax=MEL.highest_hz,
        pad_mode="constant",
    )
    expected = librosa.power_to_db(power, ref=1.0, amin=melspec.POWER_FLOOR, top_db=None)
    found = level_db(samples, MEL)
    assert found.shape == expected.shape == (MEL.n_mels, MEL.n_frames(n_samples))
    np.testing.assert_allclose(found, expected, atol=FLOAT32_DB)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(60_000)
    whole = level_db(samples, MEL)
    monkeypatch.setattr(stft, "BLOCK_FRAMES", 7)
    np.testing.assert_allclose(level_db(samples, MEL), whole, atol=FLOAT32_DB)


@pytest.mark.parametrize("frequency_hz", [110.0, 440.0, 3_000.0, 12_000.0])
def test_a_tone_lands_in_its_band_and_at_its_time(frequency_hz: float) -> None:
    rate = MEL.sample_rate_hz
    samples = np.zeros(3 * rate, dtype=np.float32)
    samples[rate : 2 * rate] = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(rate) / rate)
    levels = level_db(samples, MEL)
    band = int(levels.mean(axis=1).argmax())
    spacing_hz = np.gradient(MEL.frequencies_hz)[band]
    assert abs(MEL.frequencies_hz[band] - frequency_hz) <= spacing_hz
    loud = MEL.times_s(levels.shape[1])[levels[band] > levels[band].max() - 3.0]
    assert loud[0] == pytest.approx(1.0, abs=0.03)
    assert loud[-1] == pytest.approx(2.0, abs=0.03)


def test_silence_is_zero_and_the_loudest_cell_is_one() -> None:
    assert not scaled(level_db(np.zeros(44_100, dtype=np.float32), MEL), MEL).any()
    inputs = scaled(level_db(noise(44_100), MEL), MEL)
    assert inputs.max() == 1.0
    assert inputs.min() >= 0.0


def test_level_does_not_matter_above_silence() -> None:
    samples = noise(44_100)
    np.testing.assert_allclose(
        scaled(level_db(samples * np.float32(0.3), MEL), MEL), scaled(level_db(samples, MEL), MEL), atol=1e-4
    )


def test_a_part_scaled_with_the_mixs_reference_keeps_its_level() -> None:
    mix = level_db(noise(44_100), MEL)
    part = level_db(noise(44_100) * np.float32(0.1), MEL)  # 20 dB below
    reference_db = reference_levels(mix, MEL)
    assert reference_db.shape == (1, 1)
    found = scaled(part, MEL, reference_db)
    np.testing.assert_allclose(found, scaled(mix, MEL) - 20.0 / MEL.range_db, atol=1e-4)
    np.testing.assert_array_equal(scaled(mix, MEL, reference_db), scaled(mix, MEL))


def test_resolution_reaches_16_khz_with_128_bands() -> None:
    assert MEL.n_mels >= 128
    assert MEL.highest_hz >= 16_000
    assert (np.diff(MEL.frequencies_hz) > 0).all()
    assert (melspec.mel_filters(MEL).sum(axis=1) > 0).all()  # no band is empty


def test_configuration_survives_storage_and_foreign_ones_are_refused() -> None:
    assert MelConfig.from_dict(MEL.to_dict()) == MEL
    with pytest.raises(MelMismatchError, match="wavelength"):
        MelConfig.from_dict({**MEL.to_dict(), "wavelength": 3})
    with pytest.raises(MelMismatchError, match="Silence would not be scaled to 0"):
        MelConfig(quietest_peak_db=SILENCE_DB)
