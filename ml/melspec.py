"""The one front end: samples to a log-mel spectrogram, shared by training, serving and explaining.

Conventions: a spectrogram is `(n_mels, n_frames)`, low frequencies first, in dB re librosa's unit of power;
frame `t` is centred on sample `t * hop_samples` (librosa's `center=True`, zeros beyond the ends). Definitions
are librosa's: a periodic Hann window, Slaney's mel scale with area-normalised triangles.

A network does not see dB but `scaled` values in 0..1: 0 is 80 dB below the loudest cell of the window (or
silence), 1 the loudest cell. So a recording's level does not matter, down to `quietest_peak_db`, below which
it counts as silence.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

from ml.errors import TimbrescopeError
from ml.mel_scale import mel_frequencies_hz, triangular_filters
from ml.stft import frame_blocks, hann

POWER_FLOOR = 1e-10  # librosa.power_to_db's `amin`
SILENCE_DB = -100.0  # 10 log10(POWER_FLOOR): what silence measures


class MelMismatchError(TimbrescopeError):
    """A checkpoint or data set was made with another mel configuration."""

    code = "mel-mismatch"


@dataclass(frozen=True)
class MelConfig:
    """Everything that defines the log-mel spectrogram; stored in every checkpoint and data set.

    Attributes
    ----------
    sample_rate_hz, window_samples, hop_samples : int
        Of the short-time Fourier transform (Hann).
    n_mels : int
        Mel bands.
    lowest_hz, highest_hz : float
        Edges of the mel filter bank.
    range_db : float
        Cells this far below the loudest one are scaled to 0.
    quietest_peak_db : float
        A window whose loudest cell lies below this is silence (a steady tone at about -59 dB of full scale
        reaches it).
    """

    sample_rate_hz: int = 44_100
    window_samples: int = 2_048
    hop_samples: int = 512
    n_mels: int = 128
    lowest_hz: float = 20.0
    highest_hz: float = 16_000.0
    range_db: float = 80.0
    quietest_peak_db: float = -20.0

    def __post_init__(self) -> None:
        if self.quietest_peak_db - self.range_db < SILENCE_DB:
            raise MelMismatchError(
                f"Silence would not be scaled to 0: {self.quietest_peak_db} - {self.range_db} dB is below "
                f"{SILENCE_DB} dB."
            )

    @property
    def frequencies_hz(self) -> NDArray[np.float32]:
        """Centre frequency of each band, `(n_mels,)`."""
        edges_hz = mel_frequencies_hz(self.n_mels + 2, self.lowest_hz, self.highest_hz)
        return edges_hz[1:-1].astype(np.float32)

    def times_s(self, n_frames: int) -> NDArray[np.float32]:
        """Centre time of each frame, `(n_frames,)`."""
        return (np.arange(n_frames) * self.hop_samples / self.sample_rate_hz).astype(np.float32)

    def n_frames(self, n_samples: int) -> int:
        """Frames that `n_samples` samples give."""
        return 1 + n_samples // self.hop_samples

    def to_dict(self) -> dict[str, float | int]:
        """Plain fields, as stored in `model.json`."""
        return asdict(self)

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> MelConfig:
        """Read back `to_dict`; raises `MelMismatchError` on fields this version does not know."""
        try:
            return MelConfig(**fields)
        except TypeError as error:
            raise MelMismatchError(
                f"The mel configuration {sorted(fields)} is not this version's."
            ) from error


@functools.lru_cache(maxsize=4)
def mel_filters(config: MelConfig) -> NDArray[np.float32]:
    """Slaney's mel filter bank, area-normalised, as `librosa.filters.mel` makes it.

    Parameters
    ----------
    config : MelConfig

    Returns
    -------
    ndarray of float32, shape (n_mels, 1 + window_samples // 2)
    """
    return triangular_filters(
        config.sample_rate_hz, config.window_samples, config.n_mels, config.lowest_hz, config.highest_hz
    )


def level_db(samples: NDArray[np.float32], config: MelConfig) -> NDArray[np.float32]:
    """Log-mel spectrogram of a recording.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono sound at `config.sample_rate_hz`, full scale +-1.
    config : MelConfig

    Returns
    -------
    ndarray of float32, shape (n_mels, 1 + n_samples // hop_samples)
        Levels in dB, at least `SILENCE_DB`. Equal to
        ``librosa.power_to_db(librosa.feature.melspectrogram(...), top_db=None)``, but in blocks, so memory
        stays flat for long recordings.
    """
    filters, window = _sparse_filters(config), hann(config.window_samples)
    n_frames = config.n_frames(len(samples))
    levels = np.empty((config.n_mels, n_frames), dtype=np.float32)
    for block, frames in frame_blocks(samples, config.window_samples, config.hop_samples, n_frames):
        spectrum = scipy.fft.rfft(frames * window, axis=1)[:, : filters.shape[1]]  # (n, n_bins)
        power = filters @ (spectrum.real**2 + spectrum.imag**2).T  # (n_mels, n)
        levels[:, block] = np.log10(np.maximum(power, np.float32(POWER_FLOOR)))
    levels *= np.float32(10.0)
    return levels


@functools.lru_cache(maxsize=4)
def _sparse_filters(config: MelConfig) -> Any:
    """The filters up to the last bin that one of them hears, as a sparse matrix `(n_mels, n_bins)`.

    Nearly all weights are zeros: without them it is ten times as fast, and summed in one order.
    """
    filters = mel_filters(config)
    n_bins = int(np.flatnonzero(filters.any(axis=0))[-1]) + 1
    return scipy.sparse.csr_array(filters[:, :n_bins])


def scaled(
    levels_db: NDArray[np.float32], config: MelConfig, reference_db: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Scale levels to what networks see.

    Parameters
    ----------
    levels_db : ndarray of float32, shape (..., n_mels, n_frames)
        Windows of a log-mel spectrogram.
    config : MelConfig
    reference_db : ndarray, shape (..., 1, 1), optional
        The level that is scaled to 1; by default each window's own (`reference_levels`). Parts of a mix keep
        their levels in it when they are scaled with the mix's.

    Returns
    -------
    ndarray of float32, same shape
        ``(level - reference) / range_db + 1`` clipped to 0..1. Silence is exactly 0.
    """
    if reference_db is None:
        reference_db = reference_levels(levels_db, config)
    relative = levels_db - reference_db
    relative /= config.range_db
    relative += 1.0
    within: NDArray[np.floating] = np.clip(relative, 0.0, 1.0, out=relative)
    return within.astype(np.float32, copy=False)


def reference_levels(levels_db: NDArray[np.float32], config: MelConfig) -> NDArray[np.float32]:
    """The level of each window that networks see as 1: its loudest cell, at least `quietest_peak_db`.

    Parameters
    ----------
    levels_db : ndarray of float32, shape (..., n_mels, n_frames)
    config : MelConfig

    Returns
    -------
    ndarray of float32, shape (..., 1, 1)
    """
    loudest: NDArray[np.float32] = levels_db.max(axis=(-2, -1), keepdims=True)
    return np.maximum(loudest, np.float32(config.quietest_peak_db))
