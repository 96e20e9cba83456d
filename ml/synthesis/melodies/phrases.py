"""Phrases: stretches of existing music, cut out of MIDI files and transposed into an instrument's range.

A *part* is what one channel of a file plays (the drums are left out). A phrase begins with a note of a part
and lasts as long as the clip; it is moved by whole semitones to somewhere within the instrument's range, and
what does not fit there is moved by octaves. Where more notes sound at once than the instrument can play, the
highest are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ml.media import MediaError
from ml.media.errors import NoNotesError
from ml.media.limits import MediaLimits
from ml.media.midi import parse_midi
from ml.synthesis.melodies.settings import MIN_NOTE_S, GeneratorMelody, PhraseMelody
from ml.synthesis.melodies.source import Melodic, Occasion, source_fault
from ml.synthesis.plan import MIN_SOUNDING_S, Note, on_tick

# Scores of a user's own may be longer than uploads.
LIMITS = MediaLimits(max_duration_s=7_200.0, max_midi_bytes=4_000_000, max_midi_events=400_000)
DRUM_CHANNEL = 9
OCTAVE = 12
_FULL_VELOCITY = 127


@dataclass(frozen=True)
class Part:
    """What one channel of a file plays: notes by start and pitch, and the file's SHA-256."""

    notes: tuple[Note, ...]
    sha256: str


def read_parts(data: bytes, field: str, name: str) -> list[Part]:
    """Read the parts of a MIDI file.

    Parameters
    ----------
    data : bytes
    field : str
        Of the melody's settings, which led to the file.
    name : str
        What the file is called in errors.

    Returns
    -------
    list of Part
        By channel; empty where the file has no notes but for drums.

    Raises
    ------
    MelodySourceError
        When it is no MIDI file, or one out of bounds.
    """
    try:
        score = parse_midi(data, LIMITS)
    except NoNotesError:
        return []
    except MediaError as error:
        raise source_fault(field, f"{name}: {error}") from error
    began: dict[tuple[int, int], tuple[float, int]] = {}
    notes: dict[int, list[Note]] = {}
    for event in score.events:
        kind, channel = event.message[0] >> 4, event.message[0] & 0x0F
        if kind not in (0x8, 0x9) or channel == DRUM_CHANNEL:
            continue
        pitch = event.message[1]
        start = began.pop((channel, pitch), None)
        if start is not None and event.time_s > start[0]:
            length_s = event.time_s - start[0]
            notes.setdefault(channel, []).append(Note(start[0], length_s, pitch, start[1]))
        if kind == 0x9:
            began[channel, pitch] = (event.time_s, event.message[2])
    sha256 = hashlib.sha256(data).hexdigest()
    return [
        Part(tuple(sorted(notes[channel], key=lambda note: (note.start_s, note.pitch))), sha256)
        for channel in sorted(notes)
    ]


def draw_phrase(parts: list[Part], settings: PhraseMelody | GeneratorMelody, occasion: Occasion) -> Melodic:
    """Cut a phrase out of one of the parts and make it playable.

    Parameters
    ----------
    parts : list of Part
        At least one.
    settings : PhraseMelody or GeneratorMelody
        They say which pitches and velocities are wanted.
    occasion : Occasion
        Its own generator decides.

    Returns
    -------
    Melodic
        At least one note, which begins with the clip.
    """
    rng, pitches = occasion.own, settings.pitches_of(occasion.instrument)
    part = parts[int(rng.integers(len(parts)))]
    first = part.notes[int(rng.integers(len(part.notes)))].start_s
    end_s = first + occasion.duration_s - MIN_SOUNDING_S
    heard = [note for note in part.notes if first <= note.start_s < end_s]
    shift = _draw_shift(heard, pitches, rng)
    moved = [
        Note(
            start_s=on_tick(note.start_s - first),
            duration_s=on_tick(max(note.duration_s, MIN_NOTE_S)),
            pitch=_folded(note.pitch + shift, pitches),
            velocity=_scaled(note.velocity, settings.velocity),
        )
        for note in heard
    ]
    return Melodic(_playable(moved, occasion.instrument.max_voices), part.sha256)


def _draw_shift(notes: list[Note], pitches: tuple[int, int], rng: np.random.Generator) -> int:
    """Semitones to move by: any that keep all notes within range, else such that the middles meet."""
    lowest, highest = min(note.pitch for note in notes), max(note.pitch for note in notes)
    down, up = pitches[0] - lowest, pitches[1] - highest
    place = rng.random()
    return down + int(place * (up - down + 1)) if down <= up else (down + up) // 2


def _folded(pitch: int, pitches: tuple[int, int]) -> int:
    lowest, highest = pitches
    while pitch < lowest:
        pitch += OCTAVE
    while pitch > highest:
        pitch -= OCTAVE
    return max(pitch, lowest)


def _scaled(velocity: int, limits: tuple[int, int] | None) -> int:
    if limits is None:
        return velocity
    return round(limits[0] + (limits[1] - limits[0]) * (velocity - 1) / (_FULL_VELOCITY - 1))


def _playable(notes: Iterable[Note], max_voices: int) -> tuple[Note, ...]:
    """At most so many notes at once; a single voice leaves a note when the next one begins."""
    kept: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.start_s, -note.pitch)):
        kept = [_ending(other, note) for other in kept] if max_voices == 1 else kept
        sounding = [other for other in kept if _overlaps(other, note)]
        if len(sounding) < max_voices and all(other.pitch != note.pitch for other in sounding):
            kept.append(note)
    return tuple(sorted(kept, key=lambda note: (note.start_s, note.pitch)))


def _ending(note: Note, following: Note) -> Note:
    """The note, ended where a later one begins."""
    if not note.start_s < following.start_s < note.start_s + note.duration_s:
        return note
    return Note(note.start_s, on_tick(following.start_s - note.start_s), note.pitch, note.velocity)


def _overlaps(note: Note, later: Note) -> bool:
    return note.start_s + note.duration_s > later.start_s + 1e-9
