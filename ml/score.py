"""What is played in an uploaded MIDI file, and by whom: its notes, and each instrument's own sound.

Conventions: a channel's instrument is that of the bank and program it last selected; until then it plays
General MIDI's first. Instruments are those of the vocabulary (`ml.instruments`); notes of other programs, of
other banks and of the drums (channel 10) belong to none. A note's end is where its key is released, or where
the sustain pedal is if that was down. Times are seconds from the beginning of the piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.instruments import INSTRUMENTS
from ml.media import MediaLimits, MidiEvent, parse_midi
from ml.media.midi import ALL_NOTES_OFF, ALL_SOUND_OFF, CONTROL_CHANGE, NOTE_OFF, NOTE_ON, RELEASE_VELOCITY
from ml.notes import PlayedNote
from ml.recording import Recording, Stem, midi_bank
from ml.synthesis.render import DRUM_CHANNEL, SAMPLE_RATE_HZ, render_events

PROGRAM_CHANGE = 0xC0
BANK_SELECT, SUSTAIN_PEDAL, PEDAL_DOWN = 0, 64, 64
_NAMES = {(instrument.bank, instrument.program): instrument.name for instrument in INSTRUMENTS}


def midi_notes(data: bytes, limits: MediaLimits = MediaLimits()) -> tuple[PlayedNote, ...]:
    """The notes of a MIDI file, in the order in which they begin.

    Parameters
    ----------
    data : bytes
        A Standard MIDI File.
    limits : MediaLimits

    Returns
    -------
    tuple of PlayedNote
        Drums are marked: their keys are no pitches.

    Raises
    ------
    MediaError
        When the file cannot be read or is out of bounds.
    """
    score = parse_midi(data, limits)
    keys = _Keys()
    for event, instrument in _with_instruments(score.events):
        keys.take(event, instrument)
    for channel, key in list(keys.down):  # those that the pedal held to the end
        keys.end(channel, key, score.duration_s)
    return tuple(sorted(keys.notes, key=lambda note: (note.start_s, note.pitch)))


def midi_stems(
    data: bytes,
    recording: Recording,
    *,
    limits: MediaLimits = MediaLimits(),
    soundfont: str | Path | None = None,
    until_s: float | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Stem, ...]:
    """What each instrument of the vocabulary sounds like alone, just as it sounds in the whole rendering.

    Parameters
    ----------
    data : bytes
        A Standard MIDI File.
    recording : Recording
        Its whole rendering (`ml.recording.load_recording`); stems have its length and its gain.
    limits : MediaLimits
    soundfont : str or Path, optional
        As for the rendering.
    until_s : float, optional
        How far stems are needed; silent from there on.
    on_progress : callable, optional
        Called with ("rendering stems", done, stems in all), at least once per second of each stem's sound;
        may raise to stop.

    Returns
    -------
    tuple of Stem
        In the order of the vocabulary; none when nothing in the piece is of it. The rendering less the sum of
        the stems is what all others play, and rounding: FluidSynth works in 16-bit steps.

    Raises
    ------
    MediaError, SystemDependencyError
    InvalidRequestError
        When the recording is not at the rate of renderings.
    """
    if recording.sample_rate_hz != SAMPLE_RATE_HZ:
        raise InvalidRequestError(
            f"MIDI is rendered at {SAMPLE_RATE_HZ} Hz, but the recording is at {recording.sample_rate_hz} Hz."
        )
    parts = render_parts(
        data,
        n_samples=n_needed(recording, until_s),
        gain=recording.gain,
        limits=limits,
        soundfont=soundfont,
        on_progress=on_progress,
    )
    return tuple(stem_of(recording, name, samples) for name, samples in parts)


def render_parts(
    data: bytes,
    *,
    n_samples: int,
    gain: float,
    limits: MediaLimits = MediaLimits(),
    soundfont: str | Path | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Render the instruments of the vocabulary one after the other, each alone.

    Parameters
    ----------
    data : bytes
        A Standard MIDI File.
    n_samples : int
        How far, at the rate of renderings.
    gain : float
        What the whole rendering was scaled by.
    limits, soundfont, on_progress
        As for `midi_stems`.

    Yields
    ------
    str, ndarray of float32, shape (n_samples,)
        An instrument's name, and what it plays; in the order of the vocabulary.

    Raises
    ------
    MediaError, SystemDependencyError
    """
    events = tuple(_with_instruments(parse_midi(data, limits).events))
    playing = {name for event, name in events if event.message[0] & 0xF0 == NOTE_ON}
    names = [instrument.name for instrument in INSTRUMENTS if instrument.name in playing]
    bank_path = midi_bank(soundfont)
    for done, name in enumerate(names):

        def on_block(_done_samples: int, _n_samples: int, n_parts: int = done) -> None:
            if on_progress is not None:
                on_progress("rendering stems", n_parts, len(names))

        samples = render_events(_events_of(name, events), bank_path, n_samples, on_block=on_block)
        samples *= np.float32(gain)
        yield name, samples


def n_needed(recording: Recording, until_s: float | None) -> int:
    """How many samples of a recording's stems are needed when all from `until_s` on is not."""
    n_samples = len(recording.samples)
    return n_samples if until_s is None else min(n_samples, max(1, round(until_s * SAMPLE_RATE_HZ)))


def stem_of(recording: Recording, name: str, samples: NDArray[np.float32]) -> Stem:
    """The stem that begins with these samples `(n,)` and is silent from there to the recording's end."""
    whole = np.zeros_like(recording.samples)  # takes no memory where nothing is written to it
    whole[: len(samples)] = samples
    return Stem(name, Recording(whole, SAMPLE_RATE_HZ, recording.start_s, recording.gain))


def _with_instruments(events: Sequence[MidiEvent]) -> Iterator[tuple[MidiEvent, str | None]]:
    """Each event with the instrument that its channel plays at that moment."""
    banks: dict[int, int] = {}
    programs: dict[int, tuple[int, int]] = {}
    for event in events:
        kind, channel = event.message[0] & 0xF0, event.message[0] & 0x0F
        if kind == CONTROL_CHANGE and event.message[1] == BANK_SELECT:
            banks[channel] = event.message[2]
        elif kind == PROGRAM_CHANGE:
            programs[channel] = (banks.get(channel, 0), event.message[1])
        drums = channel == DRUM_CHANNEL
        yield event, None if drums else _NAMES.get(programs.get(channel, (0, 0)))


def _events_of(name: str, events: Sequence[tuple[MidiEvent, str | None]]) -> list[MidiEvent]:
    """What one instrument's stem is rendered from: all that its channels are told, without others' notes.

    A note that another instrument begins on the same key of the same channel ends this one's there, as in the
    whole: it becomes a release.
    """
    own = {
        event.message[0] & 0x0F for event, who in events if who == name and event.message[0] & 0xF0 == NOTE_ON
    }
    kept = []
    for event, who in events:
        kind, channel = event.message[0] & 0xF0, event.message[0] & 0x0F
        if channel not in own:
            continue
        if kind == NOTE_ON and who != name:
            release = bytes([NOTE_OFF | channel, event.message[1], RELEASE_VELOCITY])
            kept.append(MidiEvent(event.time_s, release))
        else:
            kept.append(event)
    return kept


@dataclass
class _Keys:
    """Which keys sound, and the notes that have ended."""

    notes: list[PlayedNote] = field(default_factory=list)
    down: dict[tuple[int, int], tuple[str | None, float]] = field(default_factory=dict)
    released: set[tuple[int, int]] = field(default_factory=set)  # held by the pedal alone
    pedals: set[int] = field(default_factory=set)

    def take(self, event: MidiEvent, instrument: str | None) -> None:
        """Follow one event of a channel."""
        kind, channel, data = event.message[0] & 0xF0, event.message[0] & 0x0F, event.message[1:]
        if kind == NOTE_ON:
            self.end(channel, data[0], event.time_s)  # the same key again
            self.down[channel, data[0]] = (instrument, event.time_s)
        elif kind == NOTE_OFF and (channel, data[0]) in self.down:
            if channel in self.pedals:
                self.released.add((channel, data[0]))
            else:
                self.end(channel, data[0], event.time_s)
        elif kind == CONTROL_CHANGE and data[0] == SUSTAIN_PEDAL:
            if data[1] >= PEDAL_DOWN:
                self.pedals.add(channel)
            else:
                self.pedals.discard(channel)
                self._end_all([held for held in self.released if held[0] == channel], event.time_s)
        elif kind == CONTROL_CHANGE and (data[0] == ALL_SOUND_OFF or data[0] >= ALL_NOTES_OFF):
            self._end_all([held for held in self.down if held[0] == channel], event.time_s)

    def end(self, channel: int, key: int, time_s: float) -> None:
        """A key sounds no more."""
        self.released.discard((channel, key))
        instrument, start_s = self.down.pop((channel, key), (None, time_s))
        if time_s > start_s:
            self.notes.append(PlayedNote(instrument, key, start_s, time_s, is_drum=channel == DRUM_CHANNEL))

    def _end_all(self, held: Sequence[tuple[int, int]], time_s: float) -> None:
        for channel, key in held:
            self.end(channel, key, time_s)
