"""Random melodies: notes or chords of random pitch and length, with rests, until the clip is full.

A plain melody (`RandomMelody.is_plain`) draws from the clip's base generator in an order that must never
change: data sets that exist were made so.
"""

from __future__ import annotations

import numpy as np

from ml.instruments import Instrument
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.melodies.source import Melodic, Occasion
from ml.synthesis.plan import MIN_SOUNDING_S, Note, on_tick


class RandomSource:
    """Random melodies as the settings shape them."""

    def __init__(self, settings: RandomMelody) -> None:
        self._settings = settings

    def draw(self, occasion: Occasion) -> Melodic:
        instrument, duration_s = occasion.instrument, occasion.duration_s
        if self._settings.is_plain:
            return Melodic(draw_plain(self._settings, instrument, duration_s, occasion.base))
        return Melodic(draw_shaped(self._settings, instrument, duration_s, occasion.own))


def draw_plain(
    settings: RandomMelody, instrument: Instrument, duration_s: float, rng: np.random.Generator
) -> tuple[Note, ...]:
    """Draw single notes one after another until the clip is full.

    Parameters
    ----------
    settings : RandomMelody
        Its register, voices and sounding share are not looked at.
    instrument : Instrument
    duration_s : float
        Length of the clip.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of Note
        At least one note, which always sounds.
    """
    lowest_pitch, highest_pitch = settings.pitches_of(instrument)
    notes: list[Note] = []
    time_s = on_tick(rng.uniform(*settings.rest_duration_s))
    while not notes or time_s < duration_s - MIN_SOUNDING_S:
        start_s = min(time_s, on_tick(duration_s / 2)) if not notes else time_s
        note_duration_s = on_tick(rng.uniform(*settings.note_duration_s))
        notes.append(
            Note(
                start_s=start_s,
                duration_s=note_duration_s,
                pitch=int(rng.integers(lowest_pitch, highest_pitch, endpoint=True)),
                velocity=int(rng.integers(*settings.velocity, endpoint=True)),
            )
        )
        time_s = on_tick(start_s + note_duration_s + rng.uniform(*settings.rest_duration_s))
    return tuple(notes)


def draw_shaped(
    settings: RandomMelody, instrument: Instrument, duration_s: float, rng: np.random.Generator
) -> tuple[Note, ...]:
    """Draw notes or chords within a register and a part of the clip.

    Parameters
    ----------
    settings : RandomMelody
    instrument : Instrument
        Caps the notes at once.
    duration_s : float
        Length of the clip.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of Note
        By start, then by pitch; notes of a chord share start, duration and velocity.
    """
    lowest_pitch, highest_pitch = _register(settings, instrument, rng)
    voices = _voices(settings, instrument, highest_pitch - lowest_pitch + 1, rng)
    begin_s, end_s, is_cut = _sounding(settings, duration_s, rng)
    notes: list[Note] = []
    time_s = on_tick(begin_s + rng.uniform(*settings.rest_duration_s))
    while not notes or time_s < end_s - MIN_SOUNDING_S:
        start_s = min(time_s, on_tick((begin_s + end_s) / 2)) if not notes else time_s
        note_duration_s = on_tick(rng.uniform(*settings.note_duration_s))
        if is_cut:
            note_duration_s = min(note_duration_s, on_tick(end_s - start_s))
        velocity = int(rng.integers(*settings.velocity, endpoint=True))
        n_voices = int(rng.integers(*voices, endpoint=True))
        offsets = np.sort(rng.choice(highest_pitch - lowest_pitch + 1, size=n_voices, replace=False))
        notes += [Note(start_s, note_duration_s, lowest_pitch + int(offset), velocity) for offset in offsets]
        time_s = on_tick(start_s + note_duration_s + rng.uniform(*settings.rest_duration_s))
    return tuple(notes)


def _register(settings: RandomMelody, instrument: Instrument, rng: np.random.Generator) -> tuple[int, int]:
    lowest, highest = settings.pitches_of(instrument)
    if settings.register_width is None:
        return lowest, highest
    width = min(int(rng.integers(*settings.register_width, endpoint=True)), highest - lowest)
    bottom = int(rng.integers(lowest, highest - width, endpoint=True))
    return bottom, bottom + width


def _voices(
    settings: RandomMelody, instrument: Instrument, n_pitches: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Fewest and most notes at once."""
    if rng.random() >= settings.chord_probability:
        return 1, 1
    fewest, most = settings.voices
    limit = min(instrument.max_voices, n_pitches)
    return min(fewest, limit), min(most, limit)


def _sounding(
    settings: RandomMelody, duration_s: float, rng: np.random.Generator
) -> tuple[float, float, bool]:
    """Where the stem sounds, and whether its last note is cut there."""
    is_partial, share, place = rng.random() < settings.partial_probability, rng.random(), rng.random()
    if settings.sounding_share is None or not is_partial:
        return 0.0, duration_s, False
    smallest, largest = settings.sounding_share
    length_s = max(
        duration_s * (smallest + (largest - smallest) * share), min(duration_s, 2 * MIN_SOUNDING_S)
    )
    begin_s = on_tick((duration_s - length_s) * place)
    return begin_s, on_tick(begin_s + length_s), True
