"""A recording in memory, and how uploaded bytes become one: audio is decoded, MIDI is rendered.

Conventions: imports nothing that takes long, because the processes in which uploads are read do too
(`ml.sandbox`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.media import MediaInfo, MediaLimits, decode_audio, inspect_media, parse_midi
from ml.synthesis.render import SAMPLE_RATE_HZ, render_events
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, MissingSoundFontError, find_bank

RELEASE_S = 1.0  # a rendering goes on this long after the last note ends
PEAK_CEILING = 0.98


@dataclass(frozen=True)
class Recording:
    """Mono sound.

    Attributes
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Full scale +-1.
    sample_rate_hz : int
    start_s : float
        Where in the original it begins, when it is a part of one.
    gain : float
        What a rendering of MIDI was scaled by to stay below `PEAK_CEILING`; its parts are scaled alike.
    whole_s : float or None
        How long the original is that this is a part of; None for an original.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_s: float = 0.0
    gain: float = 1.0
    whole_s: float | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz

    @property
    def original_duration_s(self) -> float:
        """Length of the original in seconds."""
        return self.duration_s if self.whole_s is None else self.whole_s

    def part(self, start_s: float, duration_s: float) -> Recording:
        """Cut a part out.

        Parameters
        ----------
        start_s, duration_s : float
            A part that reaches beyond the end is shortened.

        Raises
        ------
        InvalidRequestError
            When the part is empty or begins after the end.
        """
        if not (np.isfinite(start_s) and np.isfinite(duration_s)) or start_s < 0.0 or duration_s <= 0.0:
            raise InvalidRequestError(
                f"start_s {start_s} and duration_s {duration_s} do not name a part of a recording."
            )
        first = round(start_s * self.sample_rate_hz)
        if first >= len(self.samples):
            raise InvalidRequestError(
                f"start_s {start_s} lies after the recording's end at {self.duration_s:.2f} s."
            )
        last = first + max(1, round(duration_s * self.sample_rate_hz))
        return Recording(
            self.samples[first:last],
            self.sample_rate_hz,
            self.start_s + start_s,
            self.gain,
            self.original_duration_s,
        )


@dataclass(frozen=True)
class Stem:
    """What one instrument plays in a mix."""

    instrument: str
    recording: Recording


def load_recording(
    data: bytes,
    *,
    sample_rate_hz: int,
    limits: MediaLimits = MediaLimits(),
    soundfont: str | Path | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Recording:
    """Decode audio, or render MIDI.

    Parameters
    ----------
    data : bytes
        An audio file or a Standard MIDI File.
    sample_rate_hz : int
        Rate of the result. MIDI is rendered at 44,100 Hz, the only rate it may be asked at.
    limits : MediaLimits
    soundfont : str or Path, optional
        The SoundFont for MIDI, by name or path, a whole bank in one file; by default FluidR3_GM.
    on_progress : callable, optional
        Called with ("decoding", seconds done, seconds in all) while MIDI is rendered; may raise to stop.

    Returns
    -------
    Recording

    Raises
    ------
    MediaError
        When the file cannot be read or is out of bounds.
    SystemDependencyError
        When FluidSynth or the SoundFont is missing.
    """
    if inspect_media(data, limits).format != "midi":
        return Recording(decode_audio(data, sample_rate_hz, limits), sample_rate_hz)
    if sample_rate_hz != SAMPLE_RATE_HZ:
        raise InvalidRequestError(f"MIDI is rendered at {SAMPLE_RATE_HZ} Hz, not at {sample_rate_hz} Hz.")
    score = parse_midi(data, limits)
    bank_path = midi_bank(soundfont)
    n_samples = round((score.duration_s + RELEASE_S) * SAMPLE_RATE_HZ)

    def on_block(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress("decoding", done // SAMPLE_RATE_HZ, total // SAMPLE_RATE_HZ)

    samples = render_events(score.events, bank_path, n_samples, on_block=on_block)
    peak = float(max(samples.max(), -samples.min()))
    gain = min(1.0, PEAK_CEILING / peak) if peak else 1.0
    samples *= np.float32(gain)
    return Recording(samples, SAMPLE_RATE_HZ, gain=gain)


def decoded(data: bytes, sample_rate_hz: int, limits: MediaLimits) -> tuple[MediaInfo, NDArray[np.float32]]:
    """Say what an audio file is, and decode it.

    Parameters
    ----------
    data : bytes
        The whole file; of a MIDI file only what it is is said.
    sample_rate_hz : int
    limits : MediaLimits

    Returns
    -------
    MediaInfo, ndarray of float32, shape (n_samples,)
        No samples for MIDI.

    Raises
    ------
    MediaError
        When the file cannot be read or is out of bounds.
    """
    info = inspect_media(data, limits)
    if info.format == "midi":
        return info, np.zeros(0, np.float32)
    return info, decode_audio(data, sample_rate_hz, limits)


def midi_bank(soundfont: str | Path | None) -> Path:
    """The file of the SoundFont that plays uploaded MIDI, by name or path; by default FluidR3_GM.

    Raises
    ------
    MissingSoundFontError
        When it is not there, or is no whole bank in one file.
    """
    bank = find_bank(str(soundfont or DEFAULT_SOUNDFONT))
    if not bank.path.is_file():
        raise MissingSoundFontError(f"MIDI needs a bank in one file; {bank.path} is a folder of programs.")
    return bank.path
