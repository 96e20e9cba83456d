"""Reads the structure of WAV files: PCM and IEEE float only, plain or extensible.

Conventions: RIFF is little endian. The format chunk is believed only where its fields agree; byte rate is
ignored, as every player does, because it says nothing that the other fields do not. A data size of 0 or
0xFFFFFFFF is what a program writes that streams and cannot go back: then the samples reach to the end of
the file. Any other size beyond the end means that the file was cut off. Compressed codecs are refused
(libsndfile's IMA ADPCM is known to overflow).
Source: Microsoft, "Multiple channel audio data and WAVE files" (WAVEFORMATEXTENSIBLE).
"""

import struct

from ml.media.chunks import Chunk, chunk_content, printable, walk_chunks
from ml.media.errors import CorruptMediaError, NoSamplesError, TruncatedMediaError, UnsupportedCodecError
from ml.media.limits import MediaLimits, check_rate_and_channels
from ml.media.stream import AudioStream, SampleEncoding

RIFF_HEADER_BYTES = 12
FORMAT_BYTES, EXTENSIBLE_BYTES = 16, 40
PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
# The tail that turns a format tag into the GUID of an extensible format.
SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
STREAMED_SIZES = (0, 0xFFFFFFFF)
SUBTYPES = {
    (PCM, 8): "PCM_U8",
    (PCM, 16): "PCM_16",
    (PCM, 24): "PCM_24",
    (PCM, 32): "PCM_32",
    (FLOAT, 32): "FLOAT",
    (FLOAT, 64): "DOUBLE",
}
CODEC_NAMES = {
    PCM: "PCM",
    0x0002: "Microsoft ADPCM",
    FLOAT: "IEEE float",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0016: "G.723 ADPCM",
    0x0031: "GSM 6.10",
    0x0040: "G.721 ADPCM",
    0x0050: "MPEG",
    0x0055: "MP3",
    0x00FF: "AAC",
    0x0161: "Windows Media Audio",
    0x2000: "AC-3",
}


def read_wav(data: bytes, limits: MediaLimits) -> AudioStream:
    """Return where the samples of a WAV file lie and what they are.

    Raises
    ------
    UnsupportedCodecError, CorruptMediaError, TruncatedMediaError, NoSamplesError, SampleRateError,
    ChannelCountError
    """
    fmt: bytes | None = None
    for chunk in walk_chunks(data, RIFF_HEADER_BYTES, "little"):
        if chunk.name == b"fmt " and fmt is None:
            fmt = chunk_content(data, chunk, FORMAT_BYTES, "WAV")
        elif chunk.name == b"data":
            if fmt is None:
                raise CorruptMediaError("The WAV file has no 'fmt' chunk before its samples.")
            return _read_samples(data, fmt, chunk, limits)
        elif chunk.end > len(data):
            raise TruncatedMediaError(
                f"The WAV file is cut off: its {printable(chunk.name)} chunk has "
                f"{len(data) - chunk.start} of {chunk.size} bytes."
            )
    raise TruncatedMediaError(f"The WAV file is cut off: its {len(data)} bytes hold no 'data' chunk.")


def _read_samples(data: bytes, fmt: bytes, chunk: Chunk, limits: MediaLimits) -> AudioStream:
    _, channels, sample_rate_hz, _, frame_bytes, bits = struct.unpack("<HHIIHH", fmt[:FORMAT_BYTES])
    subtype = _subtype(fmt, bits)
    check_rate_and_channels(sample_rate_hz, channels, limits)
    if frame_bytes != channels * bits // 8:
        raise CorruptMediaError(
            f"The WAV header contradicts itself: {channels} channels of {bits} bits are "
            f"{channels * bits // 8} bytes, not {frame_bytes}."
        )
    available = len(data) - chunk.start
    if chunk.size == 0 and _is_chunk_chain(data, chunk.start):
        available = 0
    elif chunk.size not in STREAMED_SIZES and chunk.size > available:
        raise TruncatedMediaError(
            f"The WAV file is cut off: its header promises {chunk.size} bytes of samples, "
            f"{available} are there.",
            extra={"declared_bytes": chunk.size, "available_bytes": available},
        )
    n_frames = (available if chunk.size in STREAMED_SIZES else chunk.size) // frame_bytes
    if n_frames == 0:
        raise NoSamplesError("The WAV file holds 0 samples.")
    return AudioStream(
        format="wav",
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        n_frames=n_frames,
        payload=memoryview(data)[chunk.start : chunk.start + n_frames * frame_bytes],
        encoding=SampleEncoding(subtype=subtype, byte_order="LITTLE"),
    )


def _subtype(fmt: bytes, bits: int) -> str:
    """Return libsndfile's name of the sample type, or raise with the name of the codec."""
    (tag,) = struct.unpack_from("<H", fmt)
    if tag == EXTENSIBLE:
        if len(fmt) < EXTENSIBLE_BYTES:
            raise CorruptMediaError(
                f"The extensible 'fmt' chunk has {len(fmt)} bytes; it needs at least {EXTENSIBLE_BYTES}."
            )
        guid = fmt[24:40]
        if guid[2:] != SUBFORMAT_TAIL:
            raise UnsupportedCodecError(
                f"WAV with the extensible format {guid.hex()} is not read; send PCM or float."
            )
        (tag,) = struct.unpack_from("<H", guid)
    name = CODEC_NAMES.get(tag, f"codec 0x{tag:04x}")
    if tag not in (PCM, FLOAT):
        raise UnsupportedCodecError(f"WAV with {name} is not read; send PCM or float.", extra={"codec": name})
    if (tag, bits) not in SUBTYPES:
        raise UnsupportedCodecError(
            f"WAV with {bits}-bit {name} is not read; send 8, 16, 24 or 32-bit PCM, or 32 or 64-bit float.",
            extra={"codec": name, "bits": bits},
        )
    return SUBTYPES[tag, bits]


def _is_chunk_chain(data: bytes, start: int) -> bool:
    """Say whether chunks with readable names fill the file exactly from `start`: then size 0 meant no
    samples.

    A stream whose size was never filled in is followed by samples, which do not look like that.
    """
    end = start
    for chunk in walk_chunks(data, start, "little"):
        if not (chunk.name.isascii() and chunk.name.decode("ascii").isprintable()):
            return False
        end = chunk.end
        if end > len(data):
            return False
    return end > start and len(data) - end in (0, 1)
