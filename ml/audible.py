"""Evidence one can hear: a recording through a mask made from a relevance map, and what the mask leaves.

The mask lies in 0..1 on the grid of the map, `(n_mels, n_frames)`. The map's positive part is smoothed, so
that the mask has no single-cell holes, and cells are kept from the level down at which `KEPT_SHARE` of it is
held. The mask is carried from mel bands to the bins of the short-time Fourier transform by interpolation over
frequency, multiplies the recording's spectrum, and keeps its phase. Kept and removed sound add up to the
recording before their loudness is matched to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ml.classification import listen, window_probabilities
from ml.melspec import MelConfig
from ml.model import Model
from ml.recording import Recording

KEPT_SHARE = 0.9  # of the smoothed positive relevance lies above the mask's half-way level
SMOOTHING_BANDS, SMOOTHING_FRAMES = 1.0, 2.0  # standard deviations of the Gaussian
SHARPNESS = 2.0  # exponent of the soft step: 1 is gentle, 8 nearly a switch
LOUDEST_GAIN = 10.0  # amplitude: what was hardly there is not blown up to full loudness
PEAK_CEILING = 0.98


@dataclass(frozen=True)
class AudibleEvidence:
    """What was kept and what was removed, as loud as the recording, and the probability on each."""

    kept: Recording
    removed: Recording
    probability_kept: float
    probability_removed: float


def make_audible(
    model: Model, recording: Recording, relevance: NDArray[np.float32], instrument: str
) -> AudibleEvidence:
    """Split a recording into an instrument's evidence and the rest, and listen to both.

    Parameters
    ----------
    model : Model
    recording : Recording
        What was explained.
    relevance : ndarray of float32, shape (n_mels, n_frames)
        The instrument's map of it.
    instrument : str
        A label of the model.

    Returns
    -------
    AudibleEvidence
    """
    kept, removed = split(recording, evidence_mask(relevance), model.mel)
    matched = [match_loudness(part, recording) for part in (kept, removed)]
    label = model.card.labels.index(instrument)
    probabilities = []
    for part in matched:
        heard = listen(model, part)
        probabilities.append(float(window_probabilities(model, heard)[:, label].max()))
    return AudibleEvidence(matched[0], matched[1], probabilities[0], probabilities[1])


def evidence_mask(relevance: NDArray[np.float32]) -> NDArray[np.float32]:
    """A soft mask from the positive part of a map.

    Parameters
    ----------
    relevance : ndarray of float32, shape (n_mels, n_frames)

    Returns
    -------
    ndarray of float32, same shape
        ``r^p / (r^p + t^p)`` for the smoothed positive relevance `r`, where the cells with ``r >= t`` hold
        `KEPT_SHARE` of it. All zero for a map without positive relevance.
    """
    smooth = gaussian_filter(
        np.maximum(relevance, 0.0).astype(np.float64), (SMOOTHING_BANDS, SMOOTHING_FRAMES), mode="constant"
    )
    total = smooth.sum()
    if total <= 0.0:
        return np.zeros_like(relevance)
    falling = np.sort(smooth, axis=None)[::-1]
    level = falling[np.searchsorted(np.cumsum(falling), KEPT_SHARE * total)]
    ratio = (smooth / level) ** SHARPNESS
    mask: NDArray[np.float32] = (ratio / (ratio + 1.0)).astype(np.float32)
    return mask


def split(recording: Recording, mask: NDArray[np.float32], mel: MelConfig) -> tuple[Recording, Recording]:
    """Multiply a recording's spectrum with a mask, and with what the mask leaves.

    Parameters
    ----------
    recording : Recording
    mask : ndarray of float32, shape (n_mels, n_frames)
        Its mask, 0..1, on the frames of its log-mel.
    mel : MelConfig

    Returns
    -------
    kept, removed : Recording
        They add up to `recording`.
    """
    size, hop = mel.window_samples, mel.hop_samples
    bins_hz = np.fft.rfftfreq(size, 1.0 / mel.sample_rate_hz)
    bands = np.interp(bins_hz, mel.frequencies_hz, np.arange(mel.n_mels))  # fractional band of every bin
    lower = np.floor(bands).astype(int)
    upper = np.minimum(lower + 1, mel.n_mels - 1)
    weight = (bands - lower).astype(np.float32)[:, None]
    gains = (1.0 - weight) * mask[lower] + weight * mask[upper]  # (n_bins, n_frames)
    padded = np.pad(recording.samples, (0, size))  # so that the last frames are whole
    spectrum = librosa.stft(padded, n_fft=size, hop_length=hop)
    missing = spectrum.shape[1] - gains.shape[1]
    whole_gains = np.pad(gains, ((0, 0), (0, missing)), mode="edge")
    n_samples = len(recording.samples)
    kept = librosa.istft(spectrum * whole_gains, n_fft=size, hop_length=hop, length=len(padded))[:n_samples]
    removed = recording.samples - kept
    rate, start_s = recording.sample_rate_hz, recording.start_s
    return Recording(kept, rate, start_s), Recording(removed, rate, start_s)


def match_loudness(part: Recording, whole: Recording) -> Recording:
    """Scale a part to the root mean square level of the whole, short of clipping or amplifying silence."""
    level, target = (float(np.sqrt(np.mean(np.square(r.samples, dtype=np.float64)))) for r in (part, whole))
    if level == 0.0:
        return part
    peak = float(np.abs(part.samples).max())
    gain = min(target / level, LOUDEST_GAIN, max(1.0, PEAK_CEILING / peak))
    return Recording((part.samples * np.float32(gain)).astype(np.float32), part.sample_rate_hz, part.start_s)
