"""Decoding: blocks, mixing, resampling, and the samples that are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.media import (
    ExcessiveLevelError,
    MediaLimits,
    NonFiniteSamplesError,
    NoSamplesError,
    decode_audio,
    inspect_media,
)
from tests.unit.ml.media.files import FLOAT, RATE_HZ, chunk, encode, fmt_chunk, riff, tone, wav

ROOT = Path(__file__).parents[4]
TARGET_RATE_HZ = 44_100
# soxr's HQ keeps errors below about -115 dB of full scale; 16-bit files are not involved.
RESAMPLING_ERROR = 3e-6
# The filter's ringing where the sound begins and ends.
EDGE_S = 0.05
SILENT_LEVEL = 1e-4  # -80 dB of full scale
LOSSY = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}


def float_wav(samples: NDArray[np.floating], rate_hz: int = RATE_HZ, bits: int = 32) -> bytes:
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    data = samples.astype(f"<f{bits // 8}").tobytes()
    return riff(fmt_chunk(FLOAT, channels=channels, rate_hz=rate_hz, bits=bits), chunk(b"data", data))


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resampling_keeps_a_tone(rate_hz: int) -> None:
    decoded = decode_audio(float_wav(tone(1_000.0, 1.0, rate_hz), rate_hz), TARGET_RATE_HZ)
    assert decoded.dtype == np.float32
    assert decoded.shape == (TARGET_RATE_HZ,)
    inner = slice(int(EDGE_S * TARGET_RATE_HZ), -int(EDGE_S * TARGET_RATE_HZ))
    expected = tone(1_000.0, 1.0, TARGET_RATE_HZ)
    np.testing.assert_allclose(decoded[inner], expected[inner], atol=RESAMPLING_ERROR)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    decoded = decode_audio(float_wav(tone(15_000.0, 1.0, 44_100), 44_100), 22_050)
    assert np.abs(decoded[1000:-1000]).max() < SILENT_LEVEL


def test_without_resampling_the_samples_are_the_same() -> None:
    samples = tone().astype(np.float32)
    np.testing.assert_array_equal(decode_audio(float_wav(samples), RATE_HZ), samples)


@pytest.mark.parametrize("block_samples", [1, 7, 1_000, 100_000])
@pytest.mark.parametrize("target_rate_hz", [RATE_HZ, TARGET_RATE_HZ])
def test_the_size_of_blocks_changes_nothing(
    block_samples: int, target_rate_hz: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = wav(np.stack([tone(), tone(700.0)], axis=1))
    whole = decode_audio(data, target_rate_hz)
    monkeypatch.setattr("ml.media.decoding.BLOCK_SAMPLES", block_samples)
    np.testing.assert_allclose(decode_audio(data, target_rate_hz), whole, atol=1e-7)


@pytest.mark.parametrize("file_format", ["FLAC", "OGG", "MP3"])
def test_the_size_of_blocks_changes_nothing_in_a_codec(
    file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(tone(duration_s=1.0), RATE_HZ, file_format, LOSSY.get(file_format, "PCM_16"))
    whole = decode_audio(data, RATE_HZ)
    monkeypatch.setattr("ml.media.decoding.BLOCK_SAMPLES", 999)
    np.testing.assert_array_equal(decode_audio(data, RATE_HZ), whole)


@pytest.mark.parametrize("channels", [2, 3, 6, 8])
def test_mono_is_the_mean_of_the_channels(channels: int) -> None:
    samples = np.random.default_rng(channels).uniform(-1, 1, (1000, channels)).astype(np.float32)
    np.testing.assert_allclose(decode_audio(float_wav(samples), RATE_HZ), samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("file_format", "error"), [("FLAC", 1e-4), ("OGG", 0.05)])
def test_surround_in_a_codec(file_format: str, error: float) -> None:
    expected = tone(duration_s=1.0, level=0.1)
    samples = np.zeros((RATE_HZ, 6))
    samples[:, 2] = 6 * expected
    data = encode(samples, file_format=file_format, subtype=LOSSY.get(file_format, "PCM_16"))
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), expected, atol=error)


def test_silence_stays_silent() -> None:
    assert not decode_audio(wav(np.zeros(1000)), TARGET_RATE_HZ).any()


def test_samples_above_full_scale_are_kept() -> None:
    samples = tone(level=30_000.0)
    np.testing.assert_allclose(decode_audio(float_wav(samples), RATE_HZ), samples, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("frame", [0, 1_600, 3_999])
def test_samples_that_are_no_numbers(value: float, bits: int, frame: int) -> None:
    samples = np.stack([tone(), tone()], axis=1)
    samples[frame, 1] = value
    where = f"one is {value:g} in channel 2 at {frame / RATE_HZ:.3f} s"
    with pytest.raises(NonFiniteSamplesError, match=where):
        decode_audio(float_wav(samples, bits=bits), TARGET_RATE_HZ)


def test_samples_that_are_too_large_for_single_precision() -> None:
    with pytest.raises(NonFiniteSamplesError, match="inf"):
        decode_audio(float_wav(np.array([0.0, 1e300]), bits=64), RATE_HZ)


@pytest.mark.parametrize("value", [1e10, -3e38])
def test_samples_whose_power_would_overflow(value: float) -> None:
    with pytest.raises(
        ExcessiveLevelError, match=f"one is {value:g} in channel 1 at 0.000 s".replace("+", r"\+")
    ):
        decode_audio(float_wav(np.array([value, 0.0])), RATE_HZ)


def test_a_sound_shorter_than_one_sample() -> None:
    with pytest.raises(NoSamplesError, match="1 samples at 192000 Hz"):
        decode_audio(wav([0.5], rate_hz=192_000), 8_000)


def test_one_sample() -> None:
    assert decode_audio(wav([0.5]), RATE_HZ).shape == (1,)


def test_a_longer_sound_than_the_limit_stops_decoding() -> None:
    data = wav(tone(duration_s=1.0))
    assert decode_audio(data, RATE_HZ, MediaLimits(max_duration_s=1.0)).shape == (RATE_HZ,)


def test_neither_torch_nor_other_decoders_are_imported() -> None:
    heavy = ["torch", "librosa", "numba", "scipy", "audioread", "pydub", "av"]
    code = f"import sys, ml.media, ml.errors; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("file_format", ["WAV", "AIFF", "FLAC", "OGG", "MP3"])
def test_inspection_runs_no_decoder(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(tone(), file_format=file_format, subtype=LOSSY.get(file_format, "PCM_16"))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a decoder was opened")

    monkeypatch.setattr("soundfile.SoundFile.__init__", refuse)
    assert inspect_media(data).format == file_format.lower()
