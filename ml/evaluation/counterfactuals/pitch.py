"""Pitch within notes: how far it wavers, and sound whose pitch no longer wavers.

A note's pitch is known, so its fundamental can be brought down to 0 Hz and filtered: the turning of what is
left is the deviation from the note (a phase vocoder of one channel; Flanagan and Golden, 1966). Sound is
`(n_samples,)` of one voice at `SAMPLE_RATE_HZ`, without reverberation; deviations are in cents, at every
`STEP_SAMPLES`th sample.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.signal import butter, detrend, sosfiltfilt

from ml.synthesis.plan import Note
from ml.synthesis.render import SAMPLE_RATE_HZ

Sound = NDArray[np.floating]

STEP_SAMPLES = 64  # 1.5 ms
_STEPS_PER_SECOND = SAMPLE_RATE_HZ / STEP_SAMPLES
_FOLLOWED_HZ = 40.0  # deviations and their speed up to here; the next partial is 130 Hz away or more
_EDGE_S = (0.06, 0.05)  # after a note's start and before its end, where no pitch is settled
_SHORTEST_S = 0.35  # two waves of a slow vibrato
_QUIETEST = 0.05  # of a note's loudest moment: below, what is left of the fundamental has no pitch
_FURTHEST_CENTS = 200.0
_SMOOTHING_S = 0.004
_FEWEST_SAMPLES = 1_024  # below, filters have nothing to settle on
_ONSET_SPAN_S, _SETTLED_FROM_S = (0.01, 0.05), 0.15


def wavering_cents(sound: Sound, notes: Sequence[Note]) -> float:
    """How far the pitch of notes wavers: of a regular vibrato, its depth either way.

    Parameters
    ----------
    sound : ndarray, shape (n_samples,)
    notes : sequence of Note

    Returns
    -------
    float
        Root of two times the standard deviation about each note's own drift, in cents, as a mean over the
        notes, weighted by their length; NaN when none is long enough.
    """
    deviations = [cents for note in notes if len(cents := _settled_cents(sound, note)[1])]
    if not deviations:
        return float("nan")
    spreads = [np.sqrt(2.0) * detrend(cents).std() for cents in deviations]
    return float(np.average(spreads, weights=[len(cents) for cents in deviations]))


def onset_cents(sound: Sound, notes: Sequence[Note]) -> float:
    """How far the pitch at the beginning of notes is from where it settles; below 0 where they rise.

    Parameters
    ----------
    sound : ndarray, shape (n_samples,)
    notes : sequence of Note

    Returns
    -------
    float
        Cents, the mean over 10 to 50 ms less that from 150 ms on, as a median over notes; NaN without any.
    """
    differences = []
    for note in notes:
        cents = _followed(sound[_samples_of(note.start_s, note.start_s + note.duration_s, sound)], note.pitch)
        first, last, settled = (
            round(time_s * _STEPS_PER_SECOND) for time_s in (*_ONSET_SPAN_S, _SETTLED_FROM_S)
        )
        if len(cents) > settled:
            differences.append(float(cents[first:last].mean() - cents[settled:].mean()))
    return float(np.median(differences)) if differences else float("nan")


def steadied(sound: Sound, notes: Sequence[Note]) -> NDArray[np.float32]:
    """Take the wavering out of the pitch: play every moment as much faster or slower as its pitch is off.

    Parameters
    ----------
    sound : ndarray, shape (n_samples,)
    notes : sequence of Note

    Returns
    -------
    ndarray of float32, same shape
        The loudness still wavers as it did. Notes keep their mean pitch, and their times to a few
        milliseconds.
    """
    n_samples = len(sound)
    steps = np.arange(0, n_samples, STEP_SAMPLES)
    cents = np.zeros(len(steps))
    for note in notes:
        first, deviation = _settled_cents(sound, note)
        if len(deviation):
            places = first + STEP_SAMPLES * np.arange(len(deviation))
            inside = (steps >= places[0]) & (steps <= places[-1])
            cents[inside] = np.interp(steps[inside], places, deviation - deviation.mean())
    cents = gaussian_filter1d(cents, _SMOOTHING_S * _STEPS_PER_SECOND)  # no jumps at the edges of notes
    speeds = 2.0 ** (np.interp(np.arange(n_samples), steps, cents) / 1200.0)
    new_times = np.concatenate([[0.0], np.cumsum(speeds[:-1])])
    old_times = np.interp(np.arange(n_samples), new_times, np.arange(n_samples))
    moved = map_coordinates(np.asarray(sound, dtype=np.float64), old_times[None], order=3, mode="constant")
    return np.asarray(moved, dtype=np.float32)


def frequency_hz(pitch: int) -> float:
    """Fundamental of a MIDI pitch in equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12.0))


def _settled_cents(sound: Sound, note: Note) -> tuple[int, NDArray[np.float64]]:
    """The first sample at which a note's pitch is settled, and its deviation from there on; may be none.

    The whole note is followed and its edges dropped afterwards: the filter has to settle, too.
    """
    where = _samples_of(note.start_s, note.start_s + note.duration_s, sound)
    cents = _followed(sound[where], note.pitch)
    first, dropped = (round(edge_s * _STEPS_PER_SECOND) for edge_s in _EDGE_S)
    settled = cents[first : max(len(cents) - dropped, first)]
    if len(settled) < _SHORTEST_S * _STEPS_PER_SECOND:
        return where.start, np.zeros(0)
    return where.start + first * STEP_SAMPLES, settled


def _followed(part: Sound, pitch: int) -> NDArray[np.float64]:
    """Deviation of a fundamental in cents, at every step; the median where it is hardly there."""
    if len(part) < _FEWEST_SAMPLES:
        return np.zeros(0)
    pitch_hz = frequency_hz(pitch)
    turned = part * np.exp(-2j * np.pi * pitch_hz / SAMPLE_RATE_HZ * np.arange(len(part)))
    fundamental = sosfiltfilt(_low_pass(), turned)[::STEP_SAMPLES]
    turning_hz = np.gradient(np.unwrap(np.angle(fundamental))) * _STEPS_PER_SECOND / (2.0 * np.pi)
    cents = 1200.0 * np.log2(np.maximum(1.0 + turning_hz / pitch_hz, 0.5))
    strength = np.abs(fundamental)
    clear = (strength > _QUIETEST * strength.max()) & (np.abs(cents) < _FURTHEST_CENTS)
    if not clear.any():
        return np.zeros(0)
    cents = np.where(clear, cents, np.median(cents[clear]))
    return np.asarray(gaussian_filter1d(cents, _SMOOTHING_S * _STEPS_PER_SECOND))


@functools.cache
def _low_pass() -> NDArray[np.float64]:
    return np.asarray(butter(2, _FOLLOWED_HZ, fs=SAMPLE_RATE_HZ, output="sos"))


def _samples_of(begin_s: float, end_s: float, sound: Sound) -> slice:
    first, last = (min(max(round(time_s * SAMPLE_RATE_HZ), 0), len(sound)) for time_s in (begin_s, end_s))
    return slice(first, max(first, last))
