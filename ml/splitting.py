"""Splitting sound by a mask on its log-mel: what the mask keeps, and what it leaves.

The mask is carried from mel bands to the bins of the short-time Fourier transform (`ml.stft`) by
interpolation over frequency, multiplies the recording's spectrum, and keeps its phase. A recording is
transformed once, however often it is split.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ml.melspec import MelConfig
from ml.recording import Recording
from ml.stft import sound_of, spectrum


@dataclass(frozen=True)
class Splitter:
    """A recording, ready to be split.

    Attributes
    ----------
    recording : Recording
    mel : MelConfig
        Of its masks.
    spectrum : ndarray of complex64, shape (n_frames, n_bins)
        Over its end, so that the last frames are whole.
    """

    recording: Recording
    mel: MelConfig
    spectrum: NDArray[np.complex64]

    @staticmethod
    def of(recording: Recording, mel: MelConfig) -> Splitter:
        """Transform a recording."""
        n_frames = mel.n_frames(len(recording.samples) + mel.window_samples)
        return Splitter(
            recording, mel, spectrum(recording.samples, mel.window_samples, mel.hop_samples, n_frames)
        )

    def split(self, mask: NDArray[np.float32]) -> tuple[Recording, Recording]:
        """Multiply the spectrum with a mask, and with what the mask leaves.

        Parameters
        ----------
        mask : ndarray of float32, shape (n_mels, n_frames)
            0..1, on the frames of the recording's log-mel.

        Returns
        -------
        kept, removed : Recording
            They add up to the recording.
        """
        to_bins, n_masked = _to_bins(self.mel), mask.shape[1]

        def masked(frames: slice) -> NDArray[np.complex64]:
            # Frames behind the last of the log-mel are masked as that one is.
            block = mask[:, np.minimum(np.arange(frames.start, frames.stop), n_masked - 1)]
            product: NDArray[np.complex64] = self.spectrum[frames] * (to_bins @ block).T  # (n, n_bins)
            return product

        samples, rate_hz = self.recording.samples, self.recording.sample_rate_hz
        kept = sound_of(
            masked, self.mel.window_samples, self.mel.hop_samples, len(self.spectrum), len(samples)
        )
        start_s = self.recording.start_s
        return Recording(kept, rate_hz, start_s), Recording(samples - kept, rate_hz, start_s)


@functools.lru_cache(maxsize=4)
def _to_bins(mel: MelConfig) -> Any:
    """From bands to bins by interpolation over frequency, a sparse matrix `(n_bins, n_mels)`."""
    bins_hz = np.fft.rfftfreq(mel.window_samples, 1.0 / mel.sample_rate_hz)
    bands = np.interp(bins_hz, mel.frequencies_hz, np.arange(mel.n_mels))  # fractional band of every bin
    lower = np.floor(bands).astype(int)
    upper = np.minimum(lower + 1, mel.n_mels - 1)
    weight = (bands - lower).astype(np.float32)
    entries = np.stack([1.0 - weight, weight], axis=1)  # (n_bins, 2)
    columns = np.stack([lower, upper], axis=1)
    ends = np.arange(len(bins_hz) + 1) * 2
    return scipy.sparse.csr_array(
        (entries.ravel(), columns.ravel(), ends), shape=(len(bins_hz), mel.n_mels), dtype=np.float32
    )
