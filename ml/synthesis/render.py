"""Rendering: timed MIDI messages become sound, by FluidSynth.

Sound is float32 mono, `(n_samples,)`, full scale +-1, at `SAMPLE_RATE_HZ`; FluidSynth's stereo pair is
averaged. FluidSynth works in 16-bit steps here, so equal events give equal bytes. A synthesiser that has
played keeps traces of it (voices, effects' delay lines), therefore every rendering gets a fresh one.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml.errors import SystemDependencyError
from ml.synthesis.soundfonts import MissingSoundFontError

SAMPLE_RATE_HZ = 44_100
SYNTH_GAIN = 0.6  # the default of 0.2 is quiet; single voices peak near 0.4 of full scale at 0.6
BLOCK_SAMPLES = 44_100  # longest stretch rendered at once, so that progress and cancelling work
_INT16_FULL_SCALE = 32_768.0


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
def _fresh_synth(soundfont: Path, options: RenderOptions) -> Iterator[Any]:
    settings = {
        "synth.reverb.active": int(options.reverb),
        "synth.chorus.active": int(options.chorus),
        "synth.dynamic-sample-loading": 1,  # opens a 140 MB bank in 10 ms instead of 220 ms
        "synth.cpu-cores": 1,
    }
    synth = load_fluidsynth().Synth(
        gain=SYNTH_GAIN, samplerate=float(SAMPLE_RATE_HZ), channels=16, **settings
    )
    try:
        if synth.sfload(str(soundfont)) < 0:
            raise MissingSoundFontError(f"FluidSynth cannot load the SoundFont {soundfont}.")
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
    with _fresh_synth(soundfont, options) as synth:
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
        stereo = synth.get_samples(length).reshape(length, 2)  # interleaved int16
        sound[position : position + length] = stereo.mean(axis=1) / _INT16_FULL_SCALE
        position += length
        if on_block is not None:
            on_block(position, len(sound))
    return position


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
