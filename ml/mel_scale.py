"""The mel scale and its filter bank: Slaney's, to the bit as librosa computes them, without librosa.

Conventions: below `LINEAR_BELOW_HZ` a mel is `HZ_PER_MEL`, above it mels grow with the logarithm of the
frequency, 27 of them for a factor of 6.4 (M. Slaney, *Auditory Toolbox*, 1998). A band is a triangle from the
centre of the one below to that of the one above, with the area of a band of 1 Hz. librosa itself is not
imported, because that takes more than a second of a worker's start.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

HZ_PER_MEL = 200.0 / 3.0
LINEAR_BELOW_HZ = 1_000.0
LINEAR_BELOW_MEL = LINEAR_BELOW_HZ / HZ_PER_MEL
_LOG_STEP = float(np.log(6.4)) / 27.0  # of the natural logarithm of the frequency, in a mel


def mel_frequencies_hz(n: int, lowest_hz: float, highest_hz: float) -> NDArray[np.float64]:
    """Frequencies that are evenly spaced in mels.

    Parameters
    ----------
    n : int
    lowest_hz, highest_hz : float
        The first and the last of them.

    Returns
    -------
    ndarray of float64, shape (n,)
        As ``librosa.mel_frequencies(n, fmin=lowest_hz, fmax=highest_hz)``.
    """
    mels = np.linspace(_mel_of(lowest_hz), _mel_of(highest_hz), n)
    frequencies_hz: NDArray[np.float64] = HZ_PER_MEL * mels
    above = mels >= LINEAR_BELOW_MEL
    frequencies_hz[above] = LINEAR_BELOW_HZ * np.exp(_LOG_STEP * (mels[above] - LINEAR_BELOW_MEL))
    return frequencies_hz


def triangular_filters(
    sample_rate_hz: int, window_samples: int, n_mels: int, lowest_hz: float, highest_hz: float
) -> NDArray[np.float32]:
    """What each bin of a Fourier transform contributes to each mel band.

    Parameters
    ----------
    sample_rate_hz, window_samples : int
        Of the transform.
    n_mels : int
    lowest_hz, highest_hz : float
        Where the first triangle begins and the last one ends.

    Returns
    -------
    ndarray of float32, shape (n_mels, window_samples // 2 + 1)
        As ``librosa.filters.mel`` with ``norm="slaney"``.
    """
    bins_hz = np.fft.rfftfreq(window_samples, 1.0 / sample_rate_hz)
    edges_hz = mel_frequencies_hz(n_mels + 2, lowest_hz, highest_hz)
    widths_hz = np.diff(edges_hz)[:, None]
    below_hz = np.subtract.outer(edges_hz, bins_hz)  # how far each bin lies below each edge
    rising, falling = -below_hz[:-2] / widths_hz[:-1], below_hz[2:] / widths_hz[1:]
    filters: NDArray[np.float32] = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    filters *= (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return filters


def _mel_of(frequency_hz: float) -> float:
    if frequency_hz < LINEAR_BELOW_HZ:
        return frequency_hz / HZ_PER_MEL
    return LINEAR_BELOW_MEL + math.log(frequency_hz / LINEAR_BELOW_HZ) / _LOG_STEP
