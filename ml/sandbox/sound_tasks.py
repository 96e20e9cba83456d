"""What a child can make of a recording: its sound, its parts, its notes. For the fork server alone."""

from contextlib import suppress
from dataclasses import astuple
from typing import Any

from ml.errors import SystemDependencyError
from ml.instruments import INSTRUMENTS
from ml.media import MediaLimits, MidiEvent
from ml.recording import load_recording, midi_bank
from ml.sandbox import audio_tasks
from ml.sandbox.child import Answer, Task
from ml.score import PROGRAM_CHANGE, midi_notes, render_parts
from ml.synthesis.render import render_events


def _open_presets() -> None:
    """Has what MIDI files will be played with been read before children fork, each of which would read it."""
    with suppress(SystemDependencyError):  # a child that needs it says that it is missing
        presets = [MidiEvent(0.0, bytes([PROGRAM_CHANGE, instrument.program])) for instrument in INSTRUMENTS]
        render_events(presets, midi_bank(None), 1)


_open_presets()


def load(arguments: dict[str, Any], data: bytes, answer: Answer) -> dict[str, object]:
    """`ml.recording.load_recording`."""
    recording = load_recording(
        data,
        sample_rate_hz=arguments["sample_rate_hz"],
        limits=MediaLimits(**arguments["limits"]),
        soundfont=arguments["soundfont"],
        on_progress=answer.progress,
    )
    answer.sound(recording.samples)
    return {"gain": recording.gain}


def parts(arguments: dict[str, Any], data: bytes, answer: Answer) -> dict[str, object]:
    """`ml.score.render_parts`."""
    rendered = render_parts(
        data,
        n_samples=arguments["n_samples"],
        gain=arguments["gain"],
        limits=MediaLimits(**arguments["limits"]),
        soundfont=arguments["soundfont"],
        on_progress=answer.progress,
    )
    names: list[str] = []
    for name, samples in rendered:
        answer.sound(samples, part=len(names))
        names.append(name)
    return {"instruments": names}


def notes(arguments: dict[str, Any], data: bytes, _answer: Answer) -> dict[str, object]:
    """`ml.score.midi_notes`."""
    return {"notes": [astuple(note) for note in midi_notes(data, MediaLimits(**arguments["limits"]))]}


TASKS: dict[str, Task] = {
    **audio_tasks.TASKS,
    "load": load,
    "parts": parts,
    "notes": notes,
}
