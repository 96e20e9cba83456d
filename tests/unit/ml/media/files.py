"""Files for the tests of `ml.media`, most of them built byte by byte, so that no library decides for us.

Conventions: samples are float `(n_frames,)` or `(n_frames, channels)`, full scale 1; files are `bytes`.
"""

import io
import struct

import numpy as np
import soundfile as sf
from numpy.typing import ArrayLike, NDArray

RATE_HZ = 16_000
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
END_OF_TRACK = b"\x00\xff\x2f\x00"


def tone(
    frequency_hz: float = 440.0, duration_s: float = 0.25, rate_hz: int = RATE_HZ, level: float = 0.5
) -> NDArray[np.float64]:
    """A sine `(n_frames,)` that starts at phase 0."""
    return level * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


def encode(
    samples: ArrayLike, rate_hz: int = RATE_HZ, file_format: str = "WAV", subtype: str = "PCM_16"
) -> bytes:
    """A file as libsndfile writes it."""
    target = io.BytesIO()
    sf.write(target, np.asarray(samples), rate_hz, format=file_format, subtype=subtype)
    return target.getvalue()


def quantise(samples: ArrayLike, bits: int) -> bytes:
    """Little-endian PCM: 8 bits unsigned, more bits signed."""
    integers = np.round(np.asarray(samples) * (2 ** (bits - 1) - 1)).astype(np.int64).ravel()
    if bits == 8:
        return bytes(int(value) + 128 for value in integers)
    return b"".join(int(value).to_bytes(bits // 8, "little", signed=True) for value in integers)


def chunk(name: bytes, content: bytes, *, size: int | None = None) -> bytes:
    """A RIFF chunk; `size` lies about its length."""
    declared = len(content) if size is None else size
    return name + struct.pack("<I", declared) + content + b"\0" * (len(content) % 2)


def fmt_chunk(
    tag: int = PCM,
    *,
    channels: int = 1,
    rate_hz: int = RATE_HZ,
    bits: int = 16,
    frame_bytes: int | None = None,
) -> bytes:
    """A format chunk of 16 bytes."""
    frame = channels * bits // 8 if frame_bytes is None else frame_bytes
    return chunk(
        b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame % 2**32, frame, bits)
    )


def extensible_fmt_chunk(tag: int, *, channels: int, bits: int, tail: bytes = SUBFORMAT_TAIL) -> bytes:
    """A format chunk of 40 bytes."""
    frame = channels * bits // 8
    plain = struct.pack("<HHIIHH", EXTENSIBLE, channels, RATE_HZ, RATE_HZ * frame, frame, bits)
    return chunk(b"fmt ", plain + struct.pack("<HHIH", 22, bits, 0, tag) + tail)


def riff(*chunks: bytes, kind: bytes = b"WAVE") -> bytes:
    """A RIFF file made of chunks."""
    content = kind + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def wav(samples: ArrayLike, *, rate_hz: int = RATE_HZ, data_size: int | None = None) -> bytes:
    """A 16-bit WAV file; `data_size` lies about the length of its samples."""
    array = np.asarray(samples)
    channels = 1 if array.ndim == 1 else array.shape[1]
    data = chunk(b"data", quantise(array, 16), size=data_size)
    return riff(fmt_chunk(channels=channels, rate_hz=rate_hz), data)


def streamed_flac(flac: bytes) -> bytes:
    """The same FLAC file with an unknown length, as an encoder writes it that cannot go back."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


def flac_with_total(flac: bytes, n_frames: int) -> bytes:
    """The same FLAC file with another length in its header."""
    return streamed_flac(flac)[:22] + struct.pack(">I", n_frames) + flac[26:]


def aiff(
    samples: ArrayLike, *, rate: bytes | None = None, bits: int = 16, compression: bytes | None = None
) -> bytes:
    """A big-endian AIFF file of 16-bit samples; with `compression`, an AIFF-C file that claims that."""
    array = np.asarray(samples)
    data = np.round(array * 32767).astype(">i2").tobytes()
    exponent = RATE_HZ.bit_length() - 1
    extended = rate or struct.pack(">HQ", 16383 + exponent, RATE_HZ << 63 - exponent)
    common = struct.pack(">HIH", 1 if array.ndim == 1 else array.shape[1], len(array), bits) + extended
    if compression is not None:
        common += compression + b"\0\0"
    sound = bytes(8) + data
    content = b"AIFF" if compression is None else b"AIFC"
    for name, body in ((b"COMM", common), (b"SSND", sound)):
        content += name + struct.pack(">I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"FORM" + struct.pack(">I", len(content)) + content


def ogg_checksum(page: bytes) -> int:
    """The checksum of an Ogg page, bit by bit: polynomial 0x04c11db7, nothing reflected."""
    crc = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
        crc &= 0xFFFFFFFF
    return crc


def ogg_page(body: bytes, *, granule: int = 0, flags: int = 0, serial: int = 1, number: int = 0) -> bytes:
    """An Ogg page with one packet of less than 255 bytes."""
    header = b"OggS\0" + struct.pack("<BqIII", flags, granule, serial, number, 0) + bytes([1, len(body)])
    page = header + body
    return page[:22] + struct.pack("<I", ogg_checksum(page)) + page[26:]


def ogg_page_starts(data: bytes) -> list[int]:
    """Where the pages of an Ogg file start."""
    starts = []
    position = 0
    while position < len(data):
        starts.append(position)
        n_segments = data[position + 26]
        position += 27 + n_segments + sum(data[position + 27 : position + 27 + n_segments])
    return starts


def vbr_mp3(samples: ArrayLike, rate_hz: int = 44_100) -> bytes:
    """An MP3 file with a variable bit rate, its first frame the one that counts the others."""
    target = io.BytesIO()
    array = np.asarray(samples)
    with sf.SoundFile(
        target,
        "w",
        rate_hz,
        1 if array.ndim == 1 else array.shape[1],
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=0.5,
    ) as file:
        file.write(array)
    return target.getvalue()


def midi_header(*, kind: int = 0, n_tracks: int = 1, division: int = 480) -> bytes:
    """The header chunk of a MIDI file."""
    return b"MThd" + struct.pack(">IHHH", 6, kind, n_tracks, division)


def midi_track(events: bytes, *, size: int | None = None) -> bytes:
    """A track chunk; `size` lies about its length."""
    return b"MTrk" + struct.pack(">I", len(events) if size is None else size) + events


def midi(events: bytes, *, end: bytes = END_OF_TRACK, division: int = 480) -> bytes:
    """A MIDI file of one track; 480 ticks are a quarter note of half a second."""
    return midi_header(division=division) + midi_track(events + end)


def number(value: int) -> bytes:
    """A number of variable length, as MIDI files write delta times."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))
