"""WAV files are what scipy writes, and hold what was put in."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from ml.recording import Recording
from ml.wav import float_wav, pcm_wav


@pytest.mark.parametrize("n_samples", [0, 1, 4_411])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_both_kinds_are_scipys_bytes(n_samples: int, rate_hz: int) -> None:
    samples = np.random.default_rng(n_samples).normal(0.0, 0.5, n_samples).astype(np.float32)
    recording = Recording(samples, rate_hz)
    theirs = io.BytesIO()
    wavfile.write(theirs, rate_hz, samples)
    assert float_wav(recording) == theirs.getvalue()
    theirs = io.BytesIO()
    wavfile.write(theirs, rate_hz, np.round(np.clip(samples, -1.0, 1.0) * 32_767.0).astype(np.int16))
    assert pcm_wav(recording) == theirs.getvalue()


def test_loud_samples_are_clipped_and_the_recording_stays_as_it_is() -> None:
    samples = np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 3.0], dtype=np.float32)
    recording = Recording(samples.copy(), 44_100)
    heard, rate_hz = soundfile.read(io.BytesIO(pcm_wav(recording)), dtype="int16")
    assert (heard.tolist(), rate_hz) == ([-32_767, -32_767, 0, 16_384, 32_767, 32_767], 44_100)
    np.testing.assert_array_equal(recording.samples, samples)


def test_samples_need_not_lie_side_by_side() -> None:
    samples = np.arange(10, dtype=np.float32) / 10.0
    recording = Recording(samples[::2], 44_100)
    heard, _ = soundfile.read(io.BytesIO(float_wav(recording)), dtype="float32")
    np.testing.assert_array_equal(heard, samples[::2])
