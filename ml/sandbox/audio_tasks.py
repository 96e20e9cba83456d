"""What a child can make of a recording that is no MIDI file: its sound. For the fork server alone.

Conventions: imports no more than decoding takes, for a fork copies an entry for each page that there is.
"""

import io
from dataclasses import asdict
from typing import Any

import numpy as np
import soundfile as sf

from ml.media import MediaInfo, MediaLimits, decode_audio, inspect_media
from ml.sandbox import structure_tasks
from ml.sandbox.child import Answer, Task

_TRIED_RATE_HZ = 44_100


def try_out() -> None:
    """Do what children will do, so that what is made when it is first needed is made before they fork."""
    for kind in ("WAV", "FLAC"):
        file = io.BytesIO()
        sf.write(file, np.zeros(1_000), _TRIED_RATE_HZ, format=kind)
        decode_audio(file.getvalue(), _TRIED_RATE_HZ // 2)


try_out()


def load(arguments: dict[str, Any], data: bytes, answer: Answer) -> dict[str, object]:
    """`ml.recording.load_recording`, for audio."""
    _tell(arguments, data, answer)
    return {"gain": 1.0}


def decode(arguments: dict[str, Any], data: bytes, answer: Answer) -> dict[str, object]:
    """`ml.recording.decoded`."""
    return asdict(_tell(arguments, data, answer))


def _tell(arguments: dict[str, Any], data: bytes, answer: Answer) -> MediaInfo:
    limits = MediaLimits(**arguments["limits"])
    info = inspect_media(data, limits)
    if info.format != "midi":
        answer.sound(decode_audio(data, arguments["sample_rate_hz"], limits))
    return info


TASKS: dict[str, Task] = {**structure_tasks.TASKS, "load": load, "decode": decode}
