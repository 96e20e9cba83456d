"""Evidence one can hear: a recording through a mask made from relevance maps, and what the mask leaves.

The mask (`ml.masks`) is carried from mel bands to the bins of the short-time Fourier transform by
interpolation over frequency, multiplies the recording's spectrum, and keeps its phase. Kept and removed sound
add up to the recording before their loudness is matched to it.

A map shows what decided, and behind strong evidence weaker evidence hides that decides as soon as the strong
is gone. So what the mask leaves is listened to; while the instrument keeps more than half of its probability
there, it is explained again and that map joins the mask, up to `MaskSettings.most_maps` maps. How many it
took is told (`n_maps`), and how much of the sound was kept (`kept_energy_share`): a mask that kept everything
would keep the label, and remove it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray

from ml.classification import ListenedWindows, listen, window_probabilities
from ml.masks import DEFAULT_MASK, MaskSettings, evidence_mask, levelled
from ml.melspec import MelConfig
from ml.model import Model
from ml.recording import Recording
from ml.relevance.engine import explain_targets
from ml.relevance.methods import Method
from ml.relevance.target import Target
from ml.windows import merge_windows

HEARD_FROM = 0.5  # a label counts as kept from this probability on
LOST_SHARE = 0.5  # and as removed when it keeps no more than this of its probability
LOUDEST_GAIN = 10.0  # amplitude: what was hardly there is not blown up to full loudness
PEAK_CEILING = 0.98


@dataclass(frozen=True)
class AudibleEvidence:
    """What was kept and what was removed, as loud as the recording, and what the model hears in either.

    Attributes
    ----------
    kept, removed : Recording
    probability_kept, probability_removed : float
        The instrument's, in what was kept and in what was removed.
    probability : float
        The instrument's in the whole recording.
    n_maps : int
        How many maps the mask was made from: more than one where the label survived the first.
    kept_energy_share : float
        Energy of what was kept, before its loudness was matched, in that of the recording; 0 for silence.
    """

    kept: Recording
    removed: Recording
    probability_kept: float
    probability_removed: float
    probability: float
    n_maps: int
    kept_energy_share: float

    @property
    def keeps_label(self) -> bool:
        """Whether what was kept is still heard as the instrument."""
        return self.probability_kept >= HEARD_FROM

    @property
    def loses_label(self) -> bool:
        """Whether the instrument has lost at least half of its probability in what the mask leaves."""
        return self.probability_removed <= LOST_SHARE * self.probability


def make_audible(
    model: Model,
    recording: Recording,
    relevance: NDArray[np.floating],
    instrument: str,
    *,
    against: str | None = None,
    others: Sequence[NDArray[np.floating]] = (),
    method: Method | None = None,
    engine: str | None = None,
    settings: MaskSettings = DEFAULT_MASK,
) -> AudibleEvidence:
    """Split a recording into an instrument's evidence and the rest, and listen to both.

    Parameters
    ----------
    model : Model
    recording : Recording
        What was explained.
    relevance : ndarray, shape (n_mels, n_frames)
        The instrument's map of it.
    instrument : str
        A label of the model.
    against : str, optional
        The label that the map holds the instrument against; maps of what the mask leaves do so too.
    others : sequence of ndarray, each of the same shape
        Maps of the other instruments that were heard in it: they claim cells for themselves. Without them the
        mask is wider than the instrument's own sound.
    method, engine : optional
        What made `relevance`, and explains what the mask leaves.
    settings : MaskSettings

    Returns
    -------
    AudibleEvidence
    """
    label = model.card.labels.index(instrument)
    target = Target(label, None if against is None else model.card.labels.index(against))
    whole = _probability(model, listen(model, recording), label)
    rivals = [levelled(other, settings) for other in others]
    evidence = levelled(relevance, settings)
    n_maps = 1
    while True:
        kept, removed = split(recording, evidence_mask(evidence, rivals, settings), model.mel)
        removed = match_loudness(removed, recording)
        heard = listen(model, removed)
        left = _probability(model, heard, label)
        if left <= LOST_SHARE * whole or n_maps == settings.most_maps or not evidence.any():
            break
        evidence = evidence + levelled(_map_of(model, heard, target, method, engine), settings)
        n_maps += 1
    energy = _energy(recording)
    energy_share = _energy(kept) / energy if energy > 0.0 else 0.0
    kept = match_loudness(kept, recording)
    probability_kept = _probability(model, listen(model, kept), label)
    return AudibleEvidence(kept, removed, probability_kept, left, whole, n_maps, energy_share)


def _probability(model: Model, heard: ListenedWindows, label: int) -> float:
    """The highest over the windows, as of any recording."""
    return float(window_probabilities(model, heard)[:, label].max())


def _map_of(
    model: Model, heard: ListenedWindows, target: Target, method: Method | None, engine: str | None
) -> NDArray[np.float32]:
    """A target's relevance map of what was listened to, `(n_mels, n_frames)`; silent windows have none."""
    maps = np.zeros_like(heard.inputs)
    (found,) = explain_targets(model, heard.inputs[~heard.silent], [target], method=method, engine=engine)
    maps[~heard.silent] = found.maps
    return merge_windows(maps, heard.windows, heard.levels_db.shape[1])


def _energy(part: Recording) -> float:
    return float(np.square(part.samples, dtype=np.float64).sum())


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
