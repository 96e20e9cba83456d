"""Harmonic profiles: how bright a sound is, and sound of another profile with everything else kept.

Sound is `(n_samples,)` of one voice at `SAMPLE_RATE_HZ`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal import welch

from ml.evaluation.counterfactuals.pitch import frequency_hz
from ml.synthesis.effects.apply import equalise
from ml.synthesis.effects.plans import EqualiserPlan
from ml.synthesis.plan import Note
from ml.synthesis.render import SAMPLE_RATE_HZ

Sound = NDArray[np.floating]

TILT_DB_PER_OCTAVE = -6.0
TILT = EqualiserPlan(
    frequencies_hz=tuple(250.0 * 2.0**octave for octave in range(7)),
    gains_db=tuple(TILT_DB_PER_OCTAVE * octave for octave in range(7)),
)
EVEN_GAIN_DB = -20.0
_CROSSFADE_S = 0.005
_RISE = np.linspace(0.0, 1.0, round(_CROSSFADE_S * SAMPLE_RATE_HZ), endpoint=False)
_MARGIN_SAMPLES = 2_048  # more than half a period of the lowest note
_SPECTRUM_SAMPLES = 4_096


def brightness_hz(sound: Sound) -> float:
    """Spectral centroid, the mean frequency weighted by power; NaN for silence."""
    frequencies_hz, power = welch(sound, fs=SAMPLE_RATE_HZ, nperseg=_SPECTRUM_SAMPLES)
    total = float(power.sum())
    return float((frequencies_hz * power).sum() / total) if total > 0.0 else float("nan")


def even_share(sound: Sound, notes: Sequence[Note]) -> float:
    """Power of the even harmonics in that of all but the first, as a mean over notes; NaN without any.

    Parameters
    ----------
    sound : ndarray, shape (n_samples,)
    notes : sequence of Note
    """
    shares = []
    for note in notes:
        first, last = (
            round(time_s * SAMPLE_RATE_HZ) for time_s in (note.start_s, note.start_s + note.duration_s)
        )
        part = np.asarray(sound[first:last], dtype=np.float64)
        if len(part) < _SPECTRUM_SAMPLES:
            continue
        bins_hz, power = welch(part, fs=SAMPLE_RATE_HZ, nperseg=_SPECTRUM_SAMPLES)
        pitch_hz = frequency_hz(note.pitch)
        harmonic = np.rint(bins_hz / pitch_hz)
        near = np.abs(bins_hz / pitch_hz - harmonic) < 0.25  # noise in between belongs to none
        even = float(power[near & (harmonic >= 2) & (harmonic % 2 == 0)].sum())
        odd = float(power[near & (harmonic >= 3) & (harmonic % 2 == 1)].sum())
        if even + odd > 0.0:
            shares.append(even / (even + odd))
    return float(np.mean(shares)) if shares else float("nan")


def tilted(sound: Sound, notes: Sequence[Note]) -> NDArray[np.float32]:
    """Make a sound darker: every octave above 250 Hz is 6 dB weaker than the one below was; same shape."""
    del notes  # the tilt is the same for all
    return equalise(TILT, np.asarray(sound, dtype=np.float32))


def without_even(sound: Sound, notes: Sequence[Note]) -> NDArray[np.float32]:
    """Weaken the even harmonics of every note by 20 dB, as those of a closed pipe are.

    Parameters
    ----------
    sound : ndarray, shape (n_samples,)
    notes : sequence of Note

    Returns
    -------
    ndarray of float32, same shape
        Half a period later the odd harmonics are upside down and the even ones are not: what is common to the
        sound and its delayed self is the even part. The delay is 2 ms or less, so onsets stay as they are.
    """
    whole = np.asarray(sound, dtype=np.float64)
    fade = round(_CROSSFADE_S * SAMPLE_RATE_HZ)
    starts = [0, *(min(round(note.start_s * SAMPLE_RATE_HZ), len(whole)) for note in notes[1:]), len(whole)]
    even_part = np.zeros(len(whole))
    for note, first, last in zip(notes, starts[:-1], starts[1:], strict=True):
        begin, end = max(first - _MARGIN_SAMPLES, 0), min(last + fade, len(whole))
        part = whole[begin:end]
        common = 0.5 * (part + _delayed(part, 0.5 / frequency_hz(note.pitch)))[first - begin :]
        if first > 0:
            common[:fade] *= _RISE[: len(common)]
        common[last - first :] *= 1.0 - _RISE[: len(common) - (last - first)]
        even_part[first:end] += common
    return np.asarray(whole - (1.0 - 10.0 ** (EVEN_GAIN_DB / 20.0)) * even_part, dtype=np.float32)


def _delayed(part: NDArray[np.float64], delay_s: float) -> NDArray[np.float64]:
    """A part later by a fraction of samples; zeros come in from before it."""
    length = scipy.fft.next_fast_len(len(part) + _MARGIN_SAMPLES, real=True)
    frequencies_hz = scipy.fft.rfftfreq(length, 1.0 / SAMPLE_RATE_HZ)
    turned = scipy.fft.rfft(part, length) * np.exp(-2j * np.pi * frequencies_hz * delay_s)
    return np.asarray(scipy.fft.irfft(turned, length)[: len(part)])
