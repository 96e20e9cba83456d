"""Checks the structure of a Standard MIDI File and counts its events before a parser builds objects.

Conventions: MIDI files are big endian; a track is a chunk of events, each a delta time (a number of up to
four bytes) and a message. Building messages costs microseconds each and 300 KB can hold 100,000 of them, so
they are counted first, at a fraction of the cost, and counting stops at the limit.
Source: MIDI Manufacturers Association, "Standard MIDI Files 1.0" (RP-001).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ml.media.chunks import Chunk, printable, walk_chunks
from ml.media.errors import (
    CorruptMediaError,
    InvalidMidiError,
    TooManyEventsError,
    TooManyTracksError,
    TruncatedMidiError,
    UnsupportedMidiError,
)
from ml.media.limits import MediaLimits

HEADER_BYTES = 6
INDEPENDENT_TRACKS = 2
SMPTE_FLAG = 0x8000
MAX_NUMBER_BYTES = 4
STATUS_FLAG, SYSEX, ESCAPE, META = 0x80, 0xF0, 0xF7, 0xFF
PROGRAM_CHANGE, PITCH_BEND = 0xC0, 0xE0  # these and what lies between have one data byte, except pitch bend


@dataclass(frozen=True)
class MidiStructure:
    """A file that is whole: ticks per quarter note, and the bytes of every track."""

    ticks_per_beat: int
    tracks: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Return the file again with nothing but its header and its tracks."""
        header = struct.pack(">4sIHHH", b"MThd", HEADER_BYTES, 1, len(self.tracks), self.ticks_per_beat)
        return header + b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in self.tracks)


def read_structure(data: bytes, limits: MediaLimits) -> MidiStructure:
    """Return the tracks of a file whose events are whole and not too many.

    Raises
    ------
    InvalidMidiError, TruncatedMidiError, UnsupportedMidiError, TooManyTracksError, TooManyEventsError
    """
    chunks = _walk_midi_chunks(data)
    header = next(chunks, None)
    if header is None or header.end > len(data):
        raise TruncatedMidiError(f"The MIDI file is cut off in its header: it has {len(data)} bytes.")
    if header.name != b"MThd":
        raise InvalidMidiError(f"A MIDI file begins with 'MThd', not with {printable(header.name)}.")
    n_tracks, ticks_per_beat = _read_header(data[header.start : header.end], limits)
    tracks: list[bytes] = []
    n_events = 0
    for chunk in chunks:
        if len(tracks) == n_tracks:
            break
        if chunk.end > len(data):
            raise TruncatedMidiError(
                f"The MIDI file is cut off: its {printable(chunk.name)} chunk has "
                f"{len(data) - chunk.start} of {chunk.size} bytes."
            )
        if chunk.name == b"MTrk":
            tracks.append(data[chunk.start : chunk.end])
            n_events += count_events(tracks[-1], len(tracks), limits.max_midi_events - n_events, limits)
    if len(tracks) < n_tracks:
        raise TruncatedMidiError(
            f"The MIDI file is cut off: it promises {n_tracks} tracks and has {len(tracks)}."
        )
    return MidiStructure(ticks_per_beat=ticks_per_beat, tracks=tuple(tracks))


def _walk_midi_chunks(data: bytes) -> Iterator[Chunk]:
    try:
        yield from walk_chunks(data, 0, "big", padded=False)
    except CorruptMediaError as error:
        raise InvalidMidiError(str(error)) from error


def _read_header(content: bytes, limits: MediaLimits) -> tuple[int, int]:
    """Return the number of tracks and the ticks per quarter note."""
    if len(content) < HEADER_BYTES:
        raise InvalidMidiError(
            f"The header of the MIDI file has {len(content)} bytes; it needs {HEADER_BYTES}."
        )
    kind, n_tracks, division = struct.unpack(">HHH", content[:HEADER_BYTES])
    if kind == INDEPENDENT_TRACKS:
        raise UnsupportedMidiError(
            "MIDI files of type 2 (independent patterns) are not read; send type 0 or 1."
        )
    if kind > INDEPENDENT_TRACKS:
        raise InvalidMidiError(f"There is no MIDI file of type {kind}; the types are 0, 1 and 2.")
    if n_tracks == 0:
        raise InvalidMidiError("The MIDI file has 0 tracks.")
    if n_tracks > limits.max_midi_tracks:
        raise TooManyTracksError(
            f"The MIDI file has {n_tracks} tracks; the limit is {limits.max_midi_tracks}.",
            extra={"n_tracks": n_tracks, "max_tracks": limits.max_midi_tracks},
        )
    if division & SMPTE_FLAG:
        raise UnsupportedMidiError(
            f"MIDI timed in SMPTE frames (division 0x{division:04x}) is not read; send ticks per beat."
        )
    if division == 0:
        raise InvalidMidiError("The MIDI file has 0 ticks per quarter note.")
    return n_tracks, division


def count_events(track: bytes, number: int, budget: int, limits: MediaLimits) -> int:
    """Return how many events a track has; all must be whole, and no more than `budget`."""
    position = count = running_status = 0
    end = len(track)
    try:
        while position < end:
            if count == budget:
                raise TooManyEventsError(
                    f"The MIDI file has more than {limits.max_midi_events} events.",
                    extra={"max_events": limits.max_midi_events},
                )
            count += 1
            _, position = _read_number(track, position)
            status = track[position]
            if status >= STATUS_FLAG:
                position += 1
            else:
                status = running_status
            if STATUS_FLAG <= status < SYSEX:
                position += 1 if PROGRAM_CHANGE <= status < PITCH_BEND else 2
                running_status = status
            elif status in (SYSEX, ESCAPE, META):
                length, position = _read_number(track, position + (status == META))
                position += length
                # After meta events many programs rely on running status, after SysEx none does.
                running_status = running_status if status == META else 0
            else:
                raise InvalidMidiError(
                    f"Track {number} of the MIDI file has no event at its byte {position}."
                )
    except IndexError:
        position = end + 1
    if position > end:
        raise TruncatedMidiError(f"Track {number} of the MIDI file ends within an event.")
    return count


def _read_number(track: bytes, position: int) -> tuple[int, int]:
    """Return a number of variable length and where it ends."""
    number = 0
    for _ in range(MAX_NUMBER_BYTES):
        byte = track[position]
        position += 1
        number = number << 7 | byte & 0x7F
        if byte < STATUS_FLAG:
            return number, position
    raise InvalidMidiError(f"A number in the MIDI file is longer than {MAX_NUMBER_BYTES} bytes.")
