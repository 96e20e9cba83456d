"""Onsets of notes: how loud they are at once, and sound whose notes begin otherwise.

Sound is `(n_samples,)` of one voice at `SAMPLE_RATE_HZ`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.synthesis.plan import Note
from ml.synthesis.render import SAMPLE_RATE_HZ

Sound = NDArray[np.floating]

ONSET_S = 0.1  # what counts as a note's onset
_FADE_OUT_S = 0.005  # of what still rings when a note begins
_FADE_IN_S = 0.005  # after an onset that was cut off
_EARLY_S, _LATER_S = (0.0, 0.05), (0.1, 0.2)
_QUIETEST = 1e-8


def onset_level_db(sound: Sound, notes: Sequence[Note]) -> float:
    """How loud notes are at once: the first 50 ms against 100 to 200 ms.

    Parameters
    ----------
    sound : ndarray, shape (n_samples,)
    notes : sequence of Note

    Returns
    -------
    float
        Level difference as a median over notes of 200 ms and more; NaN without any. Silence counts as 80 dB
        below.
    """
    differences_db = []
    for note in notes:
        first = round(note.start_s * SAMPLE_RATE_HZ)
        early, later = (
            np.square(sound[first + _samples(begin_s) : first + _samples(end_s)], dtype=np.float64)
            for begin_s, end_s in (_EARLY_S, _LATER_S)
        )
        if (
            note.duration_s < _LATER_S[1]
            or len(later) < _samples(_LATER_S[1] - _LATER_S[0])
            or not later.any()
        ):
            continue
        ratio = early.mean() / later.mean()
        differences_db.append(10.0 * np.log10(max(ratio, _QUIETEST)))
    return float(np.median(differences_db)) if differences_db else float("nan")


def faded_in(sound: Sound, notes: Sequence[Note]) -> NDArray[np.float32]:
    """Let every note rise evenly over its onset; same shape."""
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(_samples(ONSET_S)) / _samples(ONSET_S))
    return _reshaped(sound, notes, rise)


def cut_off(sound: Sound, notes: Sequence[Note]) -> NDArray[np.float32]:
    """Silence the onset of every note, so that it begins abruptly as it goes on; same shape."""
    rise = np.zeros(_samples(ONSET_S) + _samples(_FADE_IN_S))
    rise[_samples(ONSET_S) :] = np.linspace(0.0, 1.0, _samples(_FADE_IN_S), endpoint=False)
    return _reshaped(sound, notes, rise)


def onset_frames(
    times_s: NDArray[np.floating], notes: Sequence[Note], half_window_s: float
) -> NDArray[np.bool_]:
    """Which frames of a spectrogram see an onset.

    Parameters
    ----------
    times_s : ndarray, shape (n_frames,)
        Their centres.
    notes : sequence of Note
    half_window_s : float
        How far a frame reaches either way.

    Returns
    -------
    ndarray of bool, shape (n_frames,)
    """
    starts_s = np.array([note.start_s for note in notes])
    since_s = times_s[:, None] - starts_s[None]
    return np.asarray(((since_s >= -half_window_s) & (since_s < ONSET_S)).any(axis=1))


def _reshaped(sound: Sound, notes: Sequence[Note], rise: NDArray[np.float64]) -> NDArray[np.float32]:
    gain = np.ones(len(sound))
    fall = np.linspace(1.0, 0.0, _samples(_FADE_OUT_S))
    for note in notes:
        first = round(note.start_s * SAMPLE_RATE_HZ)
        before = gain[max(first - len(fall), 0) : first]
        before *= fall[len(fall) - len(before) :]
        after = gain[first : first + len(rise)]
        after *= rise[: len(after)]
    return np.asarray(sound * gain, dtype=np.float32)


def _samples(duration_s: float) -> int:
    return round(duration_s * SAMPLE_RATE_HZ)
