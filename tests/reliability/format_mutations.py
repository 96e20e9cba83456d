"""Mutations that know what a WAV, FLAC or MIDI file is made of: its pieces, and the fields of its headers.

Conventions: a change is made in place, on as much of the file as is still what it was; the offsets are those
of the seeds (`mutations`). The formats' sources are named in `ml.media`.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

from tests.unit.ml.media.files import number, riff

# Values at the edges of what a field can hold.
EDGES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
NOT_FINITE = tuple(struct.pack("<f", value) for value in (float("nan"), float("inf"), -float("inf"), 3e38))

Change = Callable[[bytearray, st.DrawFn], None]


def _rearranged(pieces: list[bytes], draw: st.DrawFn) -> list[bytes]:
    """Pieces of a file one of which is doubled, moved, left out, or there a thousand times."""
    at = draw(st.integers(0, len(pieces) - 1))
    match draw(st.sampled_from(("double", "move", "leave out", "flood"))):
        case "double":
            return [*pieces[: at + 1], *pieces[at:]]
        case "move":
            rest = [*pieces[:at], *pieces[at + 1 :]]
            to = draw(st.integers(0, len(rest)))
            return [*rest[:to], pieces[at], *rest[to:]]
        case "leave out":
            return [*pieces[:at], *pieces[at + 1 :]]
    return [*pieces[:at], *[pieces[at][:200]] * 1_000, *pieces[at:]]


@dataclass(frozen=True)
class _Field:
    """Where a number stands in a header, and values that mean something there."""

    at: int
    size: int
    values: Sequence[int] = ()


def _set(data: bytearray, draw: st.DrawFn, field: _Field, order: Literal["little", "big"]) -> None:
    if len(data) >= field.at + field.size:
        value = draw(st.sampled_from((*field.values, *EDGES))) & 256**field.size - 1
        data[field.at : field.at + field.size] = value.to_bytes(field.size, order)


def _chunks(data: bytearray) -> list[bytes]:
    """The chunks of a RIFF file, as far as their sizes go."""
    pieces: list[bytes] = []
    at = 12
    while at + 8 <= len(data) and len(pieces) < 100:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = min(len(data), at + 8 + size + size % 2)
        pieces.append(bytes(data[at:end]))
        at = end
    return pieces


def _wav_chunks(data: bytearray, draw: st.DrawFn) -> None:
    pieces = _chunks(data)
    if pieces:
        data[:] = riff(*_rearranged(pieces, draw))


# Tag, channels, rate, bytes per second, bytes per frame, bits; the lengths of the file and of the samples.
_WAV_FIELDS = (
    _Field(20, 2, (2, 3, 6, 7, 0x11, 0x31, 0x55, 0xFFFE)),
    _Field(22, 2, (3, 31, 33, 1024)),
    _Field(24, 4, (7_999, 8_000, 192_000, 192_001, 44_100_000)),
    _Field(28, 4),
    _Field(32, 2, (3, 4, 8)),
    _Field(34, 2, (4, 8, 12, 24, 32, 64)),
    _Field(4, 4),
    _Field(40, 4),
)
# Sizes of blocks and of frames, and the row of bits that holds rate, channels, width and length.
_FLAC_FIELDS = tuple(
    _Field(at, size, (192_001 << 12, 8_000 << 12, 0x0F))
    for at, size in ((8, 2), (10, 2), (12, 3), (15, 3), (18, 4), (20, 2), (21, 1), (22, 4))
)
# Length of the header, type, number of tracks, division; length of the track.
_MIDI_FIELDS = tuple(
    _Field(at, size, (3, 256, 257, 0xE728)) for at, size in ((4, 4), (8, 2), (10, 2), (12, 2), (18, 4))
)


def _wav_field(data: bytearray, draw: st.DrawFn) -> None:
    _set(data, draw, draw(st.sampled_from(_WAV_FIELDS)), "little")


def _flac_field(data: bytearray, draw: st.DrawFn) -> None:
    _set(data, draw, draw(st.sampled_from(_FLAC_FIELDS)), "big")


def _midi_field(data: bytearray, draw: st.DrawFn) -> None:
    _set(data, draw, draw(st.sampled_from(_MIDI_FIELDS)), "big")


def _no_number(data: bytearray, draw: st.DrawFn) -> None:
    at = 44 + draw(st.integers(0, max(0, (len(data) - 52) // 4))) * 4
    data[at : at + 4] = draw(st.sampled_from(NOT_FINITE))


def _flac_blocks(data: bytearray, draw: st.DrawFn) -> None:
    """Metadata doubled, moved, or promising a picture of 16 MB."""
    pieces: list[bytes] = []
    at, is_last = 4, False
    while at + 4 <= len(data) and not is_last and len(pieces) < 100:
        is_last = bool(data[at] & 0x80)
        end = at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        pieces.append(bytes([data[at] & 0x7F]) + bytes(data[at + 1 : end]))
        at = end
    if not pieces:
        return
    picture = b"\x06" + draw(st.sampled_from((b"\xff\xff\xff", b"\0\0\x20"))) + bytes(32)
    pieces = _rearranged([*pieces, picture], draw) or [picture]
    data[:] = b"fLaC" + b"".join(pieces[:-1]) + bytes([pieces[-1][0] | 0x80]) + pieces[-1][1:] + data[at:]


def _flac_frames(data: bytearray, draw: st.DrawFn) -> None:
    """Frames doubled, moved or left out."""
    parts = bytes(data).split(b"\xff\xf8")
    if len(parts) > 2:
        pieces = [b"\xff\xf8" + part for part in parts[1:]]
        data[:] = parts[0] + b"".join(_rearranged(pieces, draw))


def _midi_tracks(data: bytearray, draw: st.DrawFn) -> None:
    pieces = [b"MTrk" + part for part in bytes(data[14:]).split(b"MTrk")[1:]]
    if pieces:
        data[14:] = b"".join(_rearranged(pieces, draw))


def _midi_events(data: bytearray, draw: st.DrawFn) -> None:
    """Events that are long, wrong, or many."""
    event = draw(
        st.sampled_from(
            (
                b"\xff\x51\x03\0\0\0",  # a tempo of no time at all
                b"\xff\x51\x03\xff\xff\xff",
                b"\xff\x51\x01\x05",
                b"\xff\x59\x02\x7f\x09",  # a key that there is not
                b"\xff\x58\x04\0\xff\0\0",
                b"\xff\x54\x05\x7f\xff\xff\xff\xff",
                b"\xff\x03\x04\xff\xfe\xfd\xfc",  # a name in no encoding
                b"\xff\x7f\xff\xff\xff\x7f",
                b"\xff\x2f\0",
                b"\xf0\x7f" + b"\x01" * 60,
                b"\xf4",
                b"\x90\x3c\x40",
                b"\x90\x80\x80",
                b"\xe0\xff\x7f",
                b"\xb0\x00\x7f\x00\xc0\x7f",  # a bank that no SoundFont has
                b"\xb0\x7b\0",
                b"\x3c\x40",
            )
        )
    )
    delta = number(draw(st.sampled_from((0, 1, 0x7F, 0x80, 48_000, 0xFFFFFFF))))
    many = (delta + event) * draw(st.sampled_from((1, 1, 2, 300, 60_000)))
    at = (
        22
        if draw(st.sampled_from((True, True, True, False)))
        else 22 + draw(st.integers(0, max(0, len(data) - 26)))
    )
    data[at:at] = many


def mend_midi(data: bytearray) -> None:
    """Makes every track as long as it says that it is, so that what is in it is looked at."""
    head, *tracks = bytes(data).split(b"MTrk")
    data[:] = head + b"".join(
        b"MTrk" + struct.pack(">I", max(0, len(track) - 4)) + track[4:] for track in tracks
    )


CHANGES: dict[str, tuple[Change, ...]] = {
    "wav": (_wav_chunks, _wav_field, _wav_field, _wav_field, _no_number, _no_number),
    "flac": (_flac_blocks, _flac_field, _flac_field, _flac_frames),
    "midi": (_midi_tracks, _midi_field, *[_midi_events] * 9),
}
