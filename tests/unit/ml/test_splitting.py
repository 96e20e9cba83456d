"""Splitting by a mask, held against the plain way: librosa's transforms and an interpolation band by band."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from ml.melspec import MelConfig
from ml.recording import Recording
from ml.splitting import Splitter

MEL = MelConfig()
RATE = MEL.sample_rate_hz
FLOAT32 = 1e-6  # of full scale


def kept_slowly(samples: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What a mask keeps, by librosa, every bin's gain interpolated by itself."""
    size, hop = MEL.window_samples, MEL.hop_samples
    whole = librosa.stft(np.pad(samples, (0, size)), n_fft=size, hop_length=hop, pad_mode="constant")
    bins_hz = np.fft.rfftfreq(size, 1.0 / RATE)
    gains = np.stack([np.interp(bins_hz, MEL.frequencies_hz, of_frame) for of_frame in mask.T], axis=1)
    gains = np.pad(gains, ((0, 0), (0, whole.shape[1] - gains.shape[1])), mode="edge")
    length = len(samples) + size
    return librosa.istft(whole * gains, n_fft=size, hop_length=hop, length=length)[: len(samples)]


@pytest.mark.parametrize("n_samples", [300, 2_048, 50_001])
def test_what_is_kept_is_what_the_plain_way_keeps(n_samples: int) -> None:
    rng = np.random.default_rng(n_samples)
    samples = rng.normal(0.0, 0.1, n_samples).astype(np.float32)
    recording = Recording(samples, RATE, start_s=3.0)
    splitter = Splitter.of(recording, MEL)
    for _ in range(2):  # a splitter is as good the second time
        mask = rng.random((MEL.n_mels, MEL.n_frames(n_samples))).astype(np.float32)
        kept, removed = splitter.split(mask)
        np.testing.assert_allclose(kept.samples, kept_slowly(samples, mask), atol=FLOAT32)
        np.testing.assert_allclose(kept.samples + removed.samples, samples, atol=FLOAT32)
        assert kept.samples.dtype == removed.samples.dtype == np.float32
        assert kept.start_s == removed.start_s == 3.0
