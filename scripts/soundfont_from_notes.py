"""Makes a SoundFont of recorded notes.

    python -m scripts.soundfont_from_notes OUT.sf2 --program 40 --folder DIR --title TITLE --comment SOURCE

Every file of the folder is one note, and its name begins with that note (`A4.mp3`, `Ds3.ogg`, `D#3v9.wav`).
With several folders each is a layer of velocities, softest first; `--layers` names the highest velocity of
each.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from scripts.soundfont_writer import Zone, key_ranges, write_soundfont

ENDINGS = frozenset({".flac", ".mp3", ".ogg", ".wav"})
KEPT_S = 7.0  # longer than any note of a five-second clip
FADE_S = 0.1
LEAD_S = 0.005  # kept before the onset
ONSET_SHARE = 0.01  # of the peak: what is softer before the note is silence
PEAK = 0.9
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SHIFTS = {"#": 1, "s": 1, "b": -1, None: 0}


@dataclass(frozen=True)
class Recording:
    """One note as it was found, trimmed."""

    name: str
    sound: NDArray[np.float64]  # (n_frames,)
    sample_rate_hz: int
    pitch: int
    keys: tuple[int, int]
    velocities: tuple[int, int]


def pitch_named(text: str) -> int:
    """The MIDI pitch of the note at the start of a name: 69 of `A4`, 51 of `Ds3` and of `Eb3`."""
    match = re.match(r"([A-G])([#sb])?(-?\d)", text)
    if match is None:
        raise ValueError(f"{text!r} does not begin with the name of a note, such as A4 or Ds3.")
    return 12 * (int(match[3]) + 1) + SEMITONES[match[1]] + SHIFTS[match[2]]


def read_layer(folder: Path, velocities: tuple[int, int]) -> list[Recording]:
    """Reads every note of a folder, by name."""
    files = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)
    if not files:
        raise ValueError(f"{folder} holds no recordings ({', '.join(sorted(ENDINGS))}).")
    pitches = [pitch_named(file.stem) for file in files]
    keys = key_ranges(pitches)
    return [
        Recording(file.stem, *_read_note(file), pitch, keys[pitch], velocities)
        for file, pitch in zip(files, pitches, strict=True)
    ]


def _read_note(file: Path) -> tuple[NDArray[np.float64], int]:
    frames, rate_hz = soundfile.read(file, always_2d=True)  # (n_frames, n_channels)
    mono = frames.mean(axis=1)  # (n_frames,)
    loud = np.flatnonzero(np.abs(mono) > ONSET_SHARE * np.abs(mono).max(initial=0.0))
    if not loud.size:
        raise ValueError(f"{file} is silent.")
    mono = mono[max(0, loud[0] - round(LEAD_S * rate_hz)) :][: round(KEPT_S * rate_hz)]
    fade = min(len(mono), round(FADE_S * rate_hz))
    mono[-fade:] *= np.linspace(1, 0, fade)
    return mono, int(rate_hz)


def zones_from_notes(folders: Sequence[Path], layers: Sequence[int]) -> list[Zone]:
    """One zone per recording. One gain for all, so that soft notes stay soft beside loud ones."""
    if len(folders) != len(layers) or sorted(set(layers)) != list(layers) or layers[-1] != 127:
        raise ValueError(f"Layers {list(layers)} for {len(folders)} folders: one each, rising, the last 127.")
    lowest = [0, *(highest + 1 for highest in layers[:-1])]
    recordings = [
        recording
        for folder, *velocities in zip(folders, lowest, layers, strict=True)
        for recording in read_layer(folder, (velocities[0], velocities[1]))
    ]
    gain = PEAK / max(np.abs(recording.sound).max() for recording in recordings)
    return [
        Zone(
            recording.name,
            np.round(recording.sound * gain * 32767).astype(np.int16),
            recording.sample_rate_hz,
            recording.pitch,
            recording.keys,
            recording.velocities,
        )
        for recording in recordings
    ]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes a SoundFont of recorded notes.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--program", type=int, required=True, help="General MIDI number, from 0")
    parser.add_argument(
        "--folder", type=Path, action="append", required=True, help="repeatable, softest first"
    )
    parser.add_argument("--layers", default="127", help="highest velocity of each folder, by comma")
    parser.add_argument("--title", required=True)
    parser.add_argument("--comment", required=True, help="source and licence, kept in the file")
    asked = parser.parse_args()
    try:
        zones = zones_from_notes(asked.folder, [int(highest) for highest in asked.layers.split(",")])
        write_soundfont(asked.out, asked.title, asked.program, zones, asked.comment)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{asked.out} was not made: {error}") from error


if __name__ == "__main__":
    main()
