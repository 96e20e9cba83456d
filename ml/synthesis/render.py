"""Rendering: timed MIDI messages become sound, by FluidSynth.

Sound is float32 mono, `(n_samples,)`, full scale +-1, at `SAMPLE_RATE_HZ`; FluidSynth's stereo pair is
averaged. FluidSynth works in 16-bit steps here, so equal events give equal bytes. A synthesiser that has
played keeps traces of it (voices, effects' delay lines), therefore every rendering gets a fresh one; what
has been read of a SoundFont is kept (`ml.synthesis.open_soundfonts`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml.errors import SystemDependencyError
from ml.synthesis.open_soundfonts import borrowed

SAMPLE_RATE_HZ = 44_100
SYNTH_GAIN = 0.6  # the default of 0.2 is quiet; single voices peak near 0.4 of full scale at 0.6
DRUM_CHANNEL, DRUM_BANK = 9, 128
BLOCK_SAMPLES = 44_100  # longest stretch rendered at once, so that progress and cancelling work
_MEAN_OF_INT16_PAIR = np.float32(0.5 / 32_768.0)  # a power of two: exact


class MissingFluidSynthError(SystemDependencyError):
    """libfluidsynth cannot be loaded."""

    code = "missing-fluidsynth"


class TimedMessage(Protocol):
    """A raw MIDI channel message and when it sounds."""

    @property
    def time_s(self) -> float: ...
    @property
    def message(self) -> bytes: ...


@dataclass(frozen=True)
class RenderOptions:
    """FluidSynth's own effects, with its default rooms."""

    reverb: bool = True
    chorus: bool = True


def load_fluidsynth() -> Any:
    """Import pyfluidsynth, which loads libfluidsynth.

    Returns
    -------
    module

    Raises
    ------
    MissingFluidSynthError
        With the command that installs the library.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where the library lies when CI is set
            import fluidsynth
    except ImportError as error:
        raise MissingFluidSynthError(
            "libfluidsynth is not installed. Debian: apt-get install libfluidsynth3; "
            "macOS: brew install fluid-synth."
        ) from error
    return fluidsynth


@contextlib.contextmanager
def _fresh_synth(
    soundfont: Path, options: RenderOptions, presets: Iterable[tuple[int, int]]
) -> Iterator[Any]:
    library = load_fluidsynth()
    settings = {
        "synth.reverb.active": int(options.reverb),
        "synth.chorus.active": int(options.chorus),
        "synth.cpu-cores": 1,
    }
    synth = library.Synth(gain=SYNTH_GAIN, samplerate=float(SAMPLE_RATE_HZ), channels=16, **settings)
    try:
        with borrowed(library, synth, soundfont, presets):
            yield synth
    finally:
        synth.delete()


def render_events(
    events: Sequence[TimedMessage],
    soundfont: Path,
    n_samples: int,
    options: RenderOptions = RenderOptions(),
    on_block: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Render MIDI messages with a fresh synthesiser.

    Parameters
    ----------
    events : sequence of TimedMessage
        Raw channel messages (status and data bytes), sorted by `time_s`.
    soundfont : Path
        The SoundFont file.
    n_samples : int
        Length of the result; what sounds later is cut.
    options : RenderOptions
        Effects.
    on_block : callable, optional
        Called with (samples done, samples in all) at least once per second of sound; may raise to stop.

    Returns
    -------
    ndarray of float32, shape (n_samples,)

    Raises
    ------
    MissingFluidSynthError, MissingSoundFontError
    """
    sound = np.empty(n_samples, dtype=np.float32)
    with _fresh_synth(soundfont, options, _presets(events)) as synth:
        for channel in _channels_without_program(events):
            synth.program_change(channel, 0)
        position = 0
        for event in events:
            target = min(round(event.time_s * SAMPLE_RATE_HZ), n_samples)
            position = _render_until(target, position, synth, sound, on_block)
            if position >= n_samples:
                break
            _send(synth, event.message)
        _render_until(n_samples, position, synth, sound, on_block)
    return sound


def _render_until(
    target: int,
    position: int,
    synth: Any,
    sound: NDArray[np.float32],
    on_block: Callable[[int, int], None] | None,
) -> int:
    while position < target:
        length = min(target - position, BLOCK_SAMPLES)
        left_right = synth.get_samples(length).reshape(length, 2)  # int16
        block = sound[position : position + length]
        np.add(left_right[:, 0], left_right[:, 1], out=block, dtype=np.float32)
        block *= _MEAN_OF_INT16_PAIR
        position += length
        if on_block is not None:
            on_block(position, len(sound))
    return position


def _presets(events: Sequence[TimedMessage]) -> set[tuple[int, int]]:
    """Bank and program of everything that the events select."""
    banks = {DRUM_CHANNEL: DRUM_BANK}
    presets = set()
    for event in events:
        kind, channel = event.message[0] >> 4, event.message[0] & 0x0F
        if kind == 0xB and event.message[1] == 0 and channel != DRUM_CHANNEL:
            banks[channel] = event.message[2]
        elif kind == 0xC:
            presets.add((banks.get(channel, 0), event.message[1]))
    return presets


def _channels_without_program(events: Sequence[TimedMessage]) -> list[int]:
    """Channels that play a note before they select a program; General MIDI gives them the first one."""
    settled: set[int] = set()
    found = []
    for event in events:
        kind, channel = event.message[0] >> 4, event.message[0] & 0x0F
        if kind == 0x9 and channel not in settled:
            found.append(channel)
        if kind in (0x9, 0xC):
            settled.add(channel)
    return found


def _send(synth: Any, message: bytes) -> None:
    """Hand one channel message to FluidSynth (MIDI 1.0, table I: status byte = kind << 4 | channel)."""
    kind, channel, data = message[0] >> 4, message[0] & 0x0F, message[1:]
    if kind == 0x9 and data[1] > 0:
        synth.noteon(channel, data[0], data[1])
    elif kind in (0x8, 0x9):
        synth.noteoff(channel, data[0])
    elif kind == 0xB:
        synth.cc(channel, data[0], data[1])
    elif kind == 0xC:
        synth.program_change(channel, data[0])
    elif kind == 0xE:
        synth.pitch_bend(channel, (data[0] | data[1] << 7) - 8192)
