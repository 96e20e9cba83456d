"""What a child can make of a recording: its sound, its parts, its notes. For the fork server alone."""

import io
from contextlib import suppress
from dataclasses import asdict, astuple
from typing import Any

import numpy as np
import soundfile as sf

from ml.errors import SystemDependencyError
from ml.instruments import INSTRUMENTS
from ml.media import MediaLimits, MidiEvent, decode_audio
from ml.recording import decoded, load_recording, midi_bank
from ml.sandbox import structure_tasks
from ml.sandbox.child import Answer, Task
from ml.score import PROGRAM_CHANGE, midi_notes, render_parts
from ml.synthesis.render import SAMPLE_RATE_HZ, render_events


def _try_out() -> None:
    """Does what children will do, so that what is made when it is first needed is made before they fork."""
    for kind in ("WAV", "FLAC"):
        file = io.BytesIO()
        sf.write(file, np.zeros(1_000), SAMPLE_RATE_HZ, format=kind)
        decode_audio(file.getvalue(), SAMPLE_RATE_HZ // 2)
    with suppress(SystemDependencyError):  # a child that needs it says that it is missing
        presets = [MidiEvent(0.0, bytes([PROGRAM_CHANGE, instrument.program])) for instrument in INSTRUMENTS]
        render_events(presets, midi_bank(None), 1)


_try_out()


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


def decode(arguments: dict[str, Any], data: bytes, answer: Answer) -> dict[str, object]:
    """`ml.media.inspect_media` and, for audio, `ml.media.decode_audio`."""
    info, samples = decoded(data, arguments["sample_rate_hz"], MediaLimits(**arguments["limits"]))
    answer.sound(samples)
    return asdict(info)


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
    **structure_tasks.TASKS,
    "load": load,
    "decode": decode,
    "parts": parts,
    "notes": notes,
}
