"""Melodies of real notes: single recorded notes, one after another, as a player might have played them.

Notes are drawn at random from an instrument's files. Each sounds for its drawn duration and then rings on
while the next begins, faded out over `TAIL_S`; the next begins after the duration and a drawn rest. Parts of
several instruments are brought to the same loudness (root mean square) and then to their drawn gains. All
choices are made before anything is decoded (`draw_part`), so a plan can be saved and heard again.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.clips import SoundClip
from ml.recording import Recording, load_recording

CLIP_S = 5.0
NOTE_DURATION_S = (0.2, 2.0)
REST_S = (0.0, 0.3)
GAIN_DB = (-3.0, 3.0)  # of a part among others
TAIL_S = 0.5
MIN_SOUNDING_S = 0.15  # no note begins later than this before the end
PEAK_CEILING = 0.98
_FILES_KEPT = 256  # decoded notes that a process keeps


@dataclass(frozen=True)
class PlayedNote:
    """One recorded note in a melody: its file below the folder of notes, when and how long it sounds."""

    file: str
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class Part:
    """What one instrument plays, and its gain after all parts were made equally loud."""

    instrument: str
    gain_db: float
    notes: tuple[PlayedNote, ...]


@dataclass(frozen=True)
class NotesClip(SoundClip):
    """A clip of `CLIP_S` seconds in which instruments play recorded notes from files below `folder`."""

    clip_id: str
    folder: Path
    parts: tuple[Part, ...]

    @property
    def playing(self) -> frozenset[str]:
        return frozenset(part.instrument for part in self.parts)

    def recording(self, sample_rate_hz: int) -> Recording:
        """Put the notes together."""
        sounds = [_levelled(_played(self.folder, part, sample_rate_hz), part.gain_db) for part in self.parts]
        mix = np.sum(sounds, axis=0)
        peak = float(np.abs(mix).max())
        gain = PEAK_CEILING / peak if peak > 0.0 else 1.0
        return Recording((mix * gain).astype(np.float32), sample_rate_hz)


def draw_part(
    instrument: str, files: Sequence[str], rng: np.random.Generator, gain_db: tuple[float, float] = (0.0, 0.0)
) -> Part:
    """Draw what one instrument plays in a clip.

    Parameters
    ----------
    instrument : str
    files : sequence of str
        Its notes, below the folder of notes.
    rng : numpy.random.Generator
    gain_db : tuple of float
        Lowest and highest gain.

    Returns
    -------
    Part
        At least one note; times are whole milliseconds.
    """
    notes: list[PlayedNote] = []
    time_s = rng.uniform(*REST_S)
    while not notes or time_s < CLIP_S - MIN_SOUNDING_S:
        duration_s = rng.uniform(*NOTE_DURATION_S)
        file = files[int(rng.integers(len(files)))]
        notes.append(PlayedNote(file, round(time_s, 3), round(duration_s, 3)))
        time_s += duration_s + rng.uniform(*REST_S)
    return Part(instrument, round(float(rng.uniform(*gain_db)), 3), tuple(notes))


def _played(folder: Path, part: Part, sample_rate_hz: int) -> NDArray[np.float64]:
    """One part's notes at their places, `(n_samples,)`."""
    sound = np.zeros(round(CLIP_S * sample_rate_hz))
    for note in part.notes:
        held = round(note.duration_s * sample_rate_hz)
        tail = round(TAIL_S * sample_rate_hz)
        first = round(note.start_s * sample_rate_hz)
        samples = _decoded(folder / note.file, sample_rate_hz)[: min(held + tail, len(sound) - first)]
        envelope = np.clip((held + tail - np.arange(len(samples))) / tail, 0.0, 1.0)
        sound[first : first + len(samples)] += samples * envelope**2  # power-law: no click, soon inaudible
    return sound


def _levelled(sound: NDArray[np.float64], gain_db: float) -> NDArray[np.float64]:
    loudness = float(np.sqrt(np.mean(sound**2)))
    scale = 10.0 ** (gain_db / 20.0) / loudness if loudness > 0.0 else 1.0
    return sound * scale


@functools.lru_cache(maxsize=_FILES_KEPT)
def _decoded(path: Path, sample_rate_hz: int) -> NDArray[np.float32]:
    samples = load_recording(path.read_bytes(), sample_rate_hz=sample_rate_hz).samples
    samples.setflags(write=False)
    return samples
