"""Make the example clips in `examples/`: `python scripts/make_examples.py`.

A few bars for two instruments each, written down below note by note, rendered with FluidR3_GM: sound for
trying the service out and for the tests, ours to give away. Each clip is stored as 16-bit WAV, its notes as a
MIDI file; of `WITH_STEMS` each instrument's part too, as 16-bit FLAC. The page's own examples, one for each
instrument of the vocabulary with another beside it, are MIDI files alone: whoever analyses one plays it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import soundfile

from ml.instruments import instruments_named, slug_of
from ml.synthesis.instantiate import ClipPlan, Note, StemPlan
from ml.synthesis.midi_file import clip_midi
from ml.synthesis.mix import render_clip
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, find_bank

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PAGE_EXAMPLES = ROOT / "service" / "static" / "examples"
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

# Each instrument's own tune, in a register that it likes; and who accompanies it with theirs.
TUNES: dict[str, Line] = {
    "Acoustic Grand Piano": (
        (60, 0.5),
        (64, 0.5),
        (67, 0.5),
        (72, 1),
        (71, 0.5),
        (67, 1),
        (65, 1),
        (64, 2),
        (60, 2),
    ),
    "Nylon Acoustic Guitar": (
        (52, 0.5),
        (59, 0.5),
        (64, 0.5),
        (67, 0.5),
        (71, 1),
        (67, 0.5),
        (64, 0.5),
        (59, 1),
        (57, 2),
        (52, 2),
    ),
    "String Ensemble 1": ((60, 2), (64, 2), (62, 2), (67, 3)),
    "Piccolo": (
        (86, 0.5),
        (88, 0.5),
        (91, 1),
        (88, 0.5),
        (86, 0.5),
        (84, 1),
        (None, 0.5),
        (86, 1.5),
        (91, 2),
    ),
    "Celesta": ((79, 0.5), (83, 0.5), (86, 0.5), (84, 1), (79, 0.5), (76, 1), (79, 1), (83, 1), (84, 2)),
    "Acoustic Bass": ((36, 1), (43, 1), (41, 1), (38, 1), (36, 1), (40, 1), (43, 2)),
    "Trumpet": ((67, 1), (72, 1.5), (71, 0.5), (69, 1), (67, 2), (None, 0.5), (64, 0.5), (72, 2)),
    "Square Wave Lead": (
        (64, 0.5),
        (67, 0.5),
        (71, 0.5),
        (76, 1),
        (74, 0.5),
        (71, 1),
        (67, 1),
        (69, 2),
        (64, 1.5),
    ),
    "Hammond Organ": ((55, 1), (60, 2), (62, 1), (64, 2), (59, 3)),
    "Violin": ((69, 1), (74, 1.5), (76, 0.5), (77, 1), (76, 2), (72, 1), (74, 2)),
    "Soprano Sax": ((70, 0.5), (72, 0.5), (75, 1.5), (74, 0.5), (72, 1), (70, 2), (67, 1), (70, 2)),
    "New Age Pad": ((48, 3), (55, 3), (53, 3)),
}
COMPANIONS = {
    "Acoustic Grand Piano": "Violin",
    "Nylon Acoustic Guitar": "Soprano Sax",
    "String Ensemble 1": "Trumpet",
    "Piccolo": "Hammond Organ",
    "Celesta": "Acoustic Bass",
    "Acoustic Bass": "Acoustic Grand Piano",
    "Trumpet": "Celesta",
    "Square Wave Lead": "New Age Pad",
    "Hammond Organ": "Nylon Acoustic Guitar",
    "Violin": "Acoustic Bass",
    "Soprano Sax": "String Ensemble 1",
    "New Age Pad": "Piccolo",
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
    write_page_examples()


def write_page_examples() -> None:
    """Write the examples of the page, and the list of them."""
    PAGE_EXAMPLES.mkdir(exist_ok=True)
    entries = []
    for lead, companion in COMPANIONS.items():
        name = slug_of(lead)
        stems = tuple(stem_of(instrument, TUNES[instrument]) for instrument in (lead, companion))
        plan = ClipPlan(name, "validation", CLIP_S, reverb=True, chorus=True, stems=stems)
        midi = clip_midi(plan)
        (PAGE_EXAMPLES / f"{name}.mid").write_bytes(midi)
        entries.append(
            {
                "title": f"{lead}, with {companion}",
                "file": f"{name}.mid",
                "instruments": [lead, companion],
                "sha256": hashlib.sha256(midi).hexdigest(),
            }
        )
    (PAGE_EXAMPLES / "examples.json").write_text(json.dumps({"examples": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
