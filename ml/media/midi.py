"""Turns a Standard MIDI File into timed channel messages that a synthesiser can play.

Conventions: times are seconds from the start, tempo changes applied; messages are raw bytes, status first,
with the channel in the low four bits (channel 10, the drums, is 9). Meta events and SysEx are left out:
nobody's file may reprogram the synthesiser. A note-on of velocity 0 becomes the note-off that it means. The
structure has been checked and its events counted (`midi_structure`) before mido sees it.
"""

import io
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import mido

from ml.media.errors import InvalidMidiError, NoNotesError, TooManyNotesError
from ml.media.limits import DEFAULT_LIMITS, MediaLimits, check_bytes, check_duration
from ml.media.midi_structure import read_structure

DEFAULT_TEMPO_US = 500_000  # microseconds per quarter note until the file says otherwise
US_PER_S = 1_000_000
# A note that is never released sounds until the piece ends, and at least this long.
UNRELEASED_NOTE_S = 1.0
NOTE_OFF, NOTE_ON, CONTROL_CHANGE, SYSEX = 0x80, 0x90, 0xB0, 0xF0
RELEASE_VELOCITY = 64
SUSTAIN_PEDAL, PEDAL_DOWN = 64, 64
# Controllers that silence a channel: all sound off, and from all notes off to the end of the mode messages.
ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123


@dataclass(frozen=True)
class MidiEvent:
    """A channel message, status and data bytes, at its time."""

    time_s: float
    message: bytes


@dataclass(frozen=True)
class MidiScore:
    """A piece: its events in the order of time, where it ends, and how many notes it has."""

    events: tuple[MidiEvent, ...]
    duration_s: float
    n_notes: int

    def sounds_between(self, start_s: float, end_s: float) -> bool:
        """Whether a note sounds within the range, by key or by pedal; its release does not count."""
        held: dict[tuple[int, int], float] = {}
        pedals: set[int] = set()
        for event in self.events:
            kind, channel = event.message[0] & 0xF0, event.message[0] & 0x0F
            if event.time_s > start_s and held:
                return True  # since before the range
            if event.time_s >= end_s:
                return False
            if event.time_s >= start_s and kind == NOTE_ON:
                return True
            if kind == CONTROL_CHANGE and event.message[1] == SUSTAIN_PEDAL:
                if event.message[2] >= PEDAL_DOWN:
                    pedals.add(channel)
                else:
                    pedals.discard(channel)
                    held = {key: since_s for key, since_s in held.items() if key[0] != channel}
            elif kind != NOTE_OFF or channel not in pedals:
                _follow(held, event.message, event.time_s)
        return bool(held) and start_s < self.duration_s


def parse_midi(data: bytes, limits: MediaLimits = DEFAULT_LIMITS) -> MidiScore:
    """Read a Standard MIDI File of type 0 or 1.

    Parameters
    ----------
    data : bytes
        The whole file.
    limits : MediaLimits
        How many bytes, events, tracks, notes at once and seconds it may have.

    Returns
    -------
    MidiScore
        Every channel message in the order of time; every note in it is released. Its duration reaches to the
        last event, the end of the track included.

    Raises
    ------
    InvalidMidiError, TruncatedMidiError, NoNotesError
        The file contradicts the format, ends early, or sounds nowhere.
    UnsupportedMidiError
        It is of type 2 or timed in SMPTE frames.
    TooManyBytesError, TooManyTracksError, TooManyEventsError, TooManyNotesError, TooLongError
        It is larger than the limits.
    """
    check_bytes(len(data), limits.max_midi_bytes)
    structure = read_structure(data, limits)
    try:
        tracks = mido.MidiFile(file=io.BytesIO(structure.to_bytes())).tracks
    except (
        Exception
    ) as error:  # mido raises whatever its lookups raise: KeyError, ValueError, KeySignatureError, ...
        raise InvalidMidiError(
            f"The MIDI file cannot be read: {str(error) or type(error).__name__}."
        ) from error
    return _play(tracks, structure.ticks_per_beat, limits)


def _play(tracks: list[mido.MidiTrack], ticks_per_beat: int, limits: MediaLimits) -> MidiScore:
    """Merge the tracks, apply the tempo, and follow which notes sound."""
    events: list[MidiEvent] = []
    sounding: dict[tuple[int, int], float] = {}
    n_notes = last_tick = 0
    time_s = 0.0
    tempo_us = DEFAULT_TEMPO_US
    for tick, message in sorted(_with_ticks(tracks), key=itemgetter(0)):
        time_s += (tick - last_tick) * tempo_us / (ticks_per_beat * US_PER_S)
        last_tick = tick
        if message.type == "set_tempo":
            tempo_us = message.tempo
        if message.is_meta or message.type == "sysex":
            continue
        raw = _as_note_off(bytes(message.bytes()))
        n_notes += raw[0] & 0xF0 == NOTE_ON
        _follow(sounding, raw, time_s)
        if len(sounding) > limits.max_midi_notes_at_once:
            raise TooManyNotesError(
                f"The MIDI file holds {len(sounding)} notes at once at {time_s:.3f} s; "
                f"the limit is {limits.max_midi_notes_at_once}.",
                extra={"n_notes": len(sounding), "max_notes": limits.max_midi_notes_at_once},
            )
        events.append(MidiEvent(time_s=time_s, message=raw))
    if n_notes == 0:
        raise NoNotesError("The MIDI file has no notes.")
    releases = sorted(
        (max(time_s, start_s + UNRELEASED_NOTE_S), channel, key)
        for (channel, key), start_s in sounding.items()
    )
    events += [
        MidiEvent(time_s=end_s, message=bytes([NOTE_OFF | channel, key, RELEASE_VELOCITY]))
        for end_s, channel, key in releases
    ]
    duration_s = max(time_s, events[-1].time_s)
    if duration_s == 0.0:
        raise NoNotesError(f"The MIDI file lasts 0 s: all of its notes ({n_notes}) end as they begin.")
    check_duration(duration_s, limits)
    return MidiScore(events=tuple(events), duration_s=duration_s, n_notes=n_notes)


def _with_ticks(tracks: list[mido.MidiTrack]) -> list[tuple[int, Any]]:
    """Return all messages with their ticks since the start, track by track."""
    timed = []
    for track in tracks:
        tick = 0
        for message in track:
            tick += message.time
            timed.append((tick, message))
    return timed


def _as_note_off(raw: bytes) -> bytes:
    if raw[0] & 0xF0 == NOTE_ON and raw[2] == 0:
        return bytes([NOTE_OFF | raw[0] & 0x0F, raw[1], RELEASE_VELOCITY])
    return raw


def _follow(sounding: dict[tuple[int, int], float], raw: bytes, time_s: float) -> None:
    """Update which keys are held: (channel, key) and since when."""
    kind, channel = raw[0] & 0xF0, raw[0] & 0x0F
    if kind == NOTE_ON:
        sounding[channel, raw[1]] = time_s
    elif kind == NOTE_OFF:
        sounding.pop((channel, raw[1]), None)
    elif kind == CONTROL_CHANGE and (raw[1] == ALL_SOUND_OFF or raw[1] >= ALL_NOTES_OFF):
        for held in [held for held in sounding if held[0] == channel]:
            del sounding[held]
