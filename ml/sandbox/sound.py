"""The sound of an upload, asked of children: decoding, rendering, the parts and the notes of MIDI files.

Conventions: as `ml.recording` and `ml.score`, whose results and errors come out as they are there. No decoder
and no synthesiser sees an upload in the process that asks. `on_wait` and `on_progress` may raise to give up;
the child is killed then.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.instruments import INSTRUMENTS
from ml.media import MediaInfo, MediaLimits
from ml.notes import N_PITCHES, PlayedNote
from ml.recording import RELEASE_S, Recording, Stem
from ml.sandbox.sandbox import Progress, Reply, Request, Sandbox
from ml.sandbox.structure import media_info, nonsense
from ml.score import n_needed, stem_of

TASKS_MODULE = "ml.sandbox.sound_tasks"
# The same for audio alone, and no MIDI: its children are forked in half the time.
AUDIO_TASKS_MODULE = "ml.sandbox.audio_tasks"
# A resampler rounds up, and a file may end within a block.
SPARE_S = 1.0

Wait = Callable[[], None]


def load_recording(
    sandbox: Sandbox,
    data: bytes,
    *,
    sample_rate_hz: int,
    limits: MediaLimits = MediaLimits(),
    soundfont: str | Path | None = None,
    on_progress: Progress | None = None,
    on_wait: Wait | None = None,
) -> Recording:
    """Decode audio, or render MIDI, as `ml.recording.load_recording`.

    Parameters
    ----------
    sandbox : Sandbox
        Of `TASKS_MODULE`.
    data, sample_rate_hz, limits, soundfont, on_progress
        As there.
    on_wait : callable, optional
        Called several times a second.

    Returns
    -------
    Recording

    Raises
    ------
    MediaError, InvalidRequestError, SystemDependencyError, SandboxError
    """
    arguments = {
        "sample_rate_hz": sample_rate_hz,
        "limits": asdict(limits),
        "soundfont": _name(soundfont),
    }
    request = Request("load", arguments, data, 1, _most_samples(limits, sample_rate_hz))
    reply = sandbox.call(request, on_progress=on_progress, on_wait=on_wait)
    gain = reply.value.get("gain") if isinstance(reply.value, Mapping) else None
    if not isinstance(gain, float) or not 0.0 < gain <= 1.0:
        raise nonsense(reply.value)
    return Recording(_only_sound(reply), sample_rate_hz, gain=gain)


def decoded(
    sandbox: Sandbox,
    data: bytes,
    sample_rate_hz: int,
    limits: MediaLimits,
    *,
    on_wait: Wait | None = None,
) -> tuple[MediaInfo, NDArray[np.float32]]:
    """Say what an audio file is, and decode it, as `ml.recording.decoded`.

    Parameters
    ----------
    sandbox : Sandbox
        Of `TASKS_MODULE`.
    data, sample_rate_hz, limits
        As there.
    on_wait : callable, optional
        Called several times a second.

    Returns
    -------
    MediaInfo, ndarray of float32, shape (n_samples,)

    Raises
    ------
    MediaError, SandboxError
    """
    arguments = {"sample_rate_hz": sample_rate_hz, "limits": asdict(limits)}
    request = Request("decode", arguments, data, 1, _most_samples(limits, sample_rate_hz))
    reply = sandbox.call(request, on_wait=on_wait)
    (samples,) = reply.sounds or (np.zeros(0, np.float32),)
    return media_info(reply.value), samples


def midi_stems(
    sandbox: Sandbox,
    data: bytes,
    recording: Recording,
    *,
    limits: MediaLimits = MediaLimits(),
    soundfont: str | Path | None = None,
    until_s: float | None = None,
    on_progress: Progress | None = None,
    on_wait: Wait | None = None,
) -> tuple[Stem, ...]:
    """Render each instrument of a MIDI file alone, as `ml.score.midi_stems`.

    Parameters
    ----------
    sandbox : Sandbox
        Of `TASKS_MODULE`.
    data, recording, limits, soundfont, until_s, on_progress
        As there.
    on_wait : callable, optional
        Called several times a second.

    Returns
    -------
    tuple of Stem

    Raises
    ------
    MediaError, SystemDependencyError, SandboxError
    """
    n_samples = n_needed(recording, until_s)
    arguments = {
        "n_samples": n_samples,
        "gain": recording.gain,
        "limits": asdict(limits),
        "soundfont": _name(soundfont),
    }
    request = Request("parts", arguments, data, len(INSTRUMENTS), n_samples)
    reply = sandbox.call(request, on_progress=on_progress, on_wait=on_wait)
    names = reply.value.get("instruments") if isinstance(reply.value, Mapping) else None
    known = [instrument.name for instrument in INSTRUMENTS]
    if not isinstance(names, list) or names != [name for name in known if name in names]:
        raise nonsense(reply.value)
    if [len(samples) for samples in reply.sounds] != [n_samples] * len(names):
        raise nonsense(reply.value)
    return tuple(stem_of(recording, name, samples) for name, samples in zip(names, reply.sounds, strict=True))


def midi_notes(
    sandbox: Sandbox, data: bytes, limits: MediaLimits = MediaLimits(), *, on_wait: Wait | None = None
) -> tuple[PlayedNote, ...]:
    """Read the notes of a MIDI file, as `ml.score.midi_notes`.

    Parameters
    ----------
    sandbox : Sandbox
        Of `TASKS_MODULE`.
    data, limits
        As there.
    on_wait : callable, optional
        Called several times a second.

    Returns
    -------
    tuple of PlayedNote

    Raises
    ------
    MediaError, SandboxError
    """
    value = sandbox.call(Request("notes", {"limits": asdict(limits)}, data), on_wait=on_wait).value
    found = value.get("notes") if isinstance(value, Mapping) else None
    if not isinstance(found, list) or len(found) > limits.max_midi_events:
        raise nonsense(value)
    return tuple(_note(fields) for fields in found)


def _note(fields: object) -> PlayedNote:
    match fields:
        case [(str() | None) as instrument, int(pitch), float(start_s), float(end_s), bool(is_drum)] if (
            0 <= pitch < N_PITCHES and 0.0 <= start_s < end_s < math.inf
        ):
            return PlayedNote(instrument, pitch, start_s, end_s, is_drum)
    raise nonsense(fields)


def _only_sound(reply: Reply) -> NDArray[np.float32]:
    if len(reply.sounds) != 1 or len(reply.sounds[0]) == 0:
        raise nonsense(f"{len(reply.sounds)} sounds")
    return reply.sounds[0]


def _most_samples(limits: MediaLimits, sample_rate_hz: int) -> int:
    return math.ceil((limits.max_duration_s + RELEASE_S + SPARE_S) * sample_rate_hz)


def _name(soundfont: str | Path | None) -> str | None:
    return None if soundfont is None else str(soundfont)
