"""The transform there and back: librosa's numbers, any length, blocks that do not show."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from ml import stft
from ml.stft import frame_blocks, hann, sound_of, spectrum

FLOAT32 = 1e-6  # of full scale: rounding of a transform
WINDOW, HOP = 512, 128


def noise(n_samples: int) -> np.ndarray:
    return np.random.default_rng(n_samples).normal(0.0, 0.1, n_samples).astype(np.float32)


@pytest.mark.parametrize("n_samples", [1, 100, 512, 5_000, 20_000])
def test_frames_are_cut_one_by_one_from_the_padded_sound(n_samples: int) -> None:
    samples = noise(n_samples)
    n_frames = 1 + (n_samples + WINDOW) // HOP
    padded = np.pad(samples, (WINDOW // 2, 3 * WINDOW))
    found = np.full((n_frames, WINDOW), np.nan, dtype=np.float32)
    for block, frames in frame_blocks(samples, WINDOW, HOP, n_frames):
        found[block] = frames
    expected = np.stack([padded[t * HOP : t * HOP + WINDOW] for t in range(n_frames)])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("window", "hop"), [(512, 128), (512, 200), (2_048, 512), (64, 64)])
def test_the_spectrum_is_librosas(window: int, hop: int) -> None:
    samples = noise(20_000)
    expected = librosa.stft(samples, n_fft=window, hop_length=hop, pad_mode="constant")
    found = spectrum(samples, window, hop, expected.shape[1])
    np.testing.assert_allclose(found.T, expected, atol=FLOAT32 * np.abs(expected).max())


@pytest.mark.parametrize(("window", "hop"), [(512, 128), (512, 200), (2_048, 512)])
def test_a_changed_spectrum_sounds_as_librosas(window: int, hop: int) -> None:
    n_samples = 20_000
    padded = np.pad(noise(n_samples), (0, window))
    whole = librosa.stft(padded, n_fft=window, hop_length=hop, pad_mode="constant")
    changed = whole * np.random.default_rng(1).random(whole.shape).astype(np.float32)
    expected = librosa.istft(changed, n_fft=window, hop_length=hop, length=len(padded))[:n_samples]
    frames = np.ascontiguousarray(changed.T)
    found = sound_of(lambda block: frames[block], window, hop, len(frames), n_samples)
    assert found.shape == (n_samples,)
    np.testing.assert_allclose(found, expected, atol=FLOAT32)


@pytest.mark.parametrize("n_samples", [1, 100, 512, 20_000])
def test_there_and_back_is_the_sound(n_samples: int) -> None:
    samples = noise(n_samples)
    n_frames = 1 + (n_samples + WINDOW) // HOP
    frames = spectrum(samples, WINDOW, HOP, n_frames)
    back = sound_of(lambda block: frames[block], WINDOW, HOP, n_frames, n_samples)
    np.testing.assert_allclose(back, samples, atol=FLOAT32)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(20_000)
    n_frames = 1 + (len(samples) + WINDOW) // HOP

    def there_and_back() -> tuple[np.ndarray, np.ndarray]:
        frames = spectrum(samples, WINDOW, HOP, n_frames)
        return frames, sound_of(lambda block: frames[block] * 0.5, WINDOW, HOP, n_frames, len(samples))

    whole = there_and_back()
    monkeypatch.setattr(stft, "BLOCK_FRAMES", 7)
    for found, expected in zip(there_and_back(), whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=FLOAT32 * np.abs(expected).max())


def test_the_window_is_librosas() -> None:
    np.testing.assert_array_equal(hann(2_048), librosa.filters.get_window("hann", 2_048).astype(np.float32))
