"""Make the example clips in `examples/`: `python scripts/make_examples.py`.

A few bars for two instruments each, written down below note by note, rendered with FluidR3_GM: sound for
trying the service out and for the tests, ours to give away. Each clip is stored as 16-bit WAV, its notes as a
MIDI file; of `WITH_STEMS` each instrument's part too, as 16-bit FLAC.
"""

from __future__ import annotations

from pathlib import Path

import soundfile

from ml.instruments import instruments_named, slug_of
from ml.synthesis.instantiate import ClipPlan, Note, StemPlan
from ml.synthesis.midi_file import clip_midi
from ml.synthesis.mix import render_clip
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, find_bank

EXAMPLES = Path(__file__).parent.parent / "examples"
CLIP_S = 5.0
BEAT_S = 0.5
WITH_STEMS = "trumpet-and-celesta"

# (pitch, beats) one after another; None is a rest
Line = tuple[tuple[int | None, float], ...]
DUETS: dict[str, dict[str, Line]] = {
    "trumpet-and-celesta": {
        "Trumpet": ((60, 1), (64, 1), (67, 2), (None, 1), (72, 1), (71, 1), (67, 2)),
        "Celesta": (
            (None, 0.5),
            *((pitch, 1) for pitch in (64, 67, 72, 67, 64, 62, 67, 72, 64)),
        ),
    },
    "violin-and-organ": {
        "Violin": ((69, 2), (71, 1), (72, 3), (None, 1), (67, 2)),
        "Hammond Organ": ((None, 1), (60, 3), (65, 2), (62, 3)),
    },
}


def stem_of(name: str, line: Line) -> StemPlan:
    """A line of one instrument, played legato at one loudness."""
    (instrument,) = instruments_named([name])
    notes, time_s = [], 0.0
    for pitch, beats in line:
        if pitch is not None:
            notes.append(Note(time_s, beats * BEAT_S * 0.95, pitch, 100))
        time_s += beats * BEAT_S
    return StemPlan(name, instrument.program, DEFAULT_SOUNDFONT, 0.0, tuple(notes))


def main() -> None:
    """Write every example."""
    banks = {DEFAULT_SOUNDFONT: find_bank(DEFAULT_SOUNDFONT)}
    for name, lines in DUETS.items():
        stems = tuple(stem_of(instrument, line) for instrument, line in lines.items())
        plan = ClipPlan(name, "validation", CLIP_S, reverb=True, chorus=True, stems=stems)
        clip = render_clip(plan, banks)
        soundfile.write(EXAMPLES / f"{name}.wav", clip.mix, SAMPLE_RATE_HZ, subtype="PCM_16")
        (EXAMPLES / f"{name}.mid").write_bytes(clip_midi(plan))
        if name == WITH_STEMS:
            for instrument, stem in zip(lines, clip.stems, strict=True):
                part = EXAMPLES / f"{slug_of(instrument)}.flac"
                soundfile.write(part, stem, SAMPLE_RATE_HZ, subtype="PCM_16")


if __name__ == "__main__":
    main()
