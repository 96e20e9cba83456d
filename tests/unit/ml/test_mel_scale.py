"""The mel scale against librosa's: equal to the bit, for checkpoints and data sets were made with it."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from ml.mel_scale import mel_frequencies_hz, triangular_filters

RANGES = [
    (128, 20.0, 16_000.0),  # the shipped models'
    (40, 0.0, 900.0),  # linear alone
    (64, 1_000.0, 8_000.0),  # logarithmic alone
    (229, 30.0, 22_050.0),
]


@pytest.mark.parametrize(("n", "lowest_hz", "highest_hz"), RANGES)
def test_frequencies_are_librosas(n: int, lowest_hz: float, highest_hz: float) -> None:
    theirs = librosa.mel_frequencies(n, fmin=lowest_hz, fmax=highest_hz)
    np.testing.assert_array_equal(mel_frequencies_hz(n, lowest_hz, highest_hz), theirs)


@pytest.mark.parametrize(("n", "lowest_hz", "highest_hz"), RANGES)
@pytest.mark.parametrize(("sample_rate_hz", "window_samples"), [(44_100, 4_096), (48_000, 8_192)])
def test_filters_are_librosas(
    n: int, lowest_hz: float, highest_hz: float, sample_rate_hz: int, window_samples: int
) -> None:
    theirs = librosa.filters.mel(
        sr=sample_rate_hz, n_fft=window_samples, n_mels=n, fmin=lowest_hz, fmax=highest_hz
    )
    ours = triangular_filters(sample_rate_hz, window_samples, n, lowest_hz, highest_hz)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)


def test_triangles_have_the_area_of_a_band_of_one_hertz() -> None:
    sample_rate_hz, window_samples = 44_100, 2**17
    filters = triangular_filters(sample_rate_hz, window_samples, 16, 100.0, 10_000.0)
    areas = filters.astype(np.float64).sum(axis=1) * sample_rate_hz / window_samples
    np.testing.assert_allclose(areas, 1.0, rtol=1e-3)
