"""Reads the structure of AIFF and AIFF-C files: PCM and IEEE float only.

Conventions: IFF is big endian, the sample rate an 80-bit float, samples are big endian unless the
compression type says otherwise. Integer samples of a width that is no multiple of 8 lie left-justified in
whole bytes.
Source: Apple, "Audio Interchange File Format: AIFF-C", draft of 1991-08-26.
"""

import struct

from ml.media.chunks import Chunk, chunk_content, printable, walk_chunks
from ml.media.errors import CorruptMediaError, NoSamplesError, TruncatedMediaError, UnsupportedCodecError
from ml.media.limits import MediaLimits, check_rate_and_channels
from ml.media.stream import AudioStream, SampleEncoding

FORM_HEADER_BYTES = 12
COMMON_BYTES, COMPRESSED_COMMON_BYTES = 18, 22
SOUND_HEADER_BYTES = 8
EXPONENT_BIAS, MANTISSA_BITS = 16383, 63
# Enough for any rate that a message should name; a larger exponent would make a number of thousands of
# digits.
MAX_RATE_EXPONENT = 40
INTEGER_SUBTYPES = {1: "PCM_S8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
MAX_INTEGER_BITS = 32
# Compression type: bytes per sample where the type fixes them, and the encoding where the width does not
# decide it.
BIG_ENDIAN_INTEGER, LITTLE_ENDIAN_INTEGER = (b"NONE", b"twos"), (b"sowt",)
FIXED_ENCODINGS = {
    b"raw ": (1, SampleEncoding("PCM_U8", "BIG")),
    b"in24": (3, SampleEncoding("PCM_24", "BIG")),
    b"in32": (4, SampleEncoding("PCM_32", "BIG")),
    b"42ni": (3, SampleEncoding("PCM_24", "LITTLE")),
    b"23ni": (4, SampleEncoding("PCM_32", "LITTLE")),
    b"fl32": (4, SampleEncoding("FLOAT", "BIG")),
    b"FL32": (4, SampleEncoding("FLOAT", "BIG")),
    b"fl64": (8, SampleEncoding("DOUBLE", "BIG")),
    b"FL64": (8, SampleEncoding("DOUBLE", "BIG")),
}


def read_aiff(data: bytes, limits: MediaLimits) -> AudioStream:
    """Return where the samples of an AIFF or AIFF-C file lie and what they are.

    Raises
    ------
    UnsupportedCodecError, CorruptMediaError, TruncatedMediaError, NoSamplesError, SampleRateError,
    ChannelCountError
    """
    compressed = data[8:12] == b"AIFC"
    common: bytes | None = None
    sound: Chunk | None = None
    for chunk in walk_chunks(data, FORM_HEADER_BYTES, "big"):
        if chunk.name == b"COMM" and common is None:
            common = chunk_content(
                data, chunk, COMPRESSED_COMMON_BYTES if compressed else COMMON_BYTES, "AIFF"
            )
        elif chunk.name == b"SSND" and sound is None:
            sound = chunk
    if common is None:
        raise CorruptMediaError("The AIFF file has no 'COMM' chunk.")
    channels, n_frames, bits, rate = struct.unpack(">HIH10s", common[:COMMON_BYTES])
    sample_bytes, encoding = _encoding(common[18:22] if compressed else b"NONE", bits)
    sample_rate_hz = _rate_hz(rate)
    check_rate_and_channels(sample_rate_hz, channels, limits)
    if n_frames == 0:
        raise NoSamplesError("The AIFF file holds 0 samples.")
    if sound is None:
        raise CorruptMediaError(f"The AIFF file promises {n_frames} samples and has no 'SSND' chunk.")
    return AudioStream(
        format="aiff",
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        n_frames=n_frames,
        payload=_samples(data, sound, n_frames * channels * sample_bytes),
        encoding=encoding,
    )


def _samples(data: bytes, sound: Chunk, n_bytes: int) -> memoryview:
    if sound.end > len(data):
        raise TruncatedMediaError(
            f"The AIFF file is cut off: its header promises {sound.size} bytes of samples, "
            f"{len(data) - sound.start} are there.",
            extra={"declared_bytes": sound.size, "available_bytes": len(data) - sound.start},
        )
    header = chunk_content(data, sound, SOUND_HEADER_BYTES, "AIFF")[:SOUND_HEADER_BYTES]
    start = sound.start + SOUND_HEADER_BYTES + int.from_bytes(header[:4], "big")
    if start + n_bytes > sound.end:
        raise CorruptMediaError(
            f"The AIFF header contradicts itself: {n_bytes} bytes of samples are announced, "
            f"{max(0, sound.end - start)} lie in the 'SSND' chunk."
        )
    return memoryview(data)[start : start + n_bytes]


def _encoding(compression: bytes, bits: int) -> tuple[int, SampleEncoding]:
    """Return bytes per sample and the sample encoding of a compression type."""
    if compression in FIXED_ENCODINGS:
        return FIXED_ENCODINGS[compression]
    if compression not in BIG_ENDIAN_INTEGER + LITTLE_ENDIAN_INTEGER:
        name = printable(compression)
        raise UnsupportedCodecError(
            f"AIFF with {name} is not read; send PCM or float.", extra={"codec": name}
        )
    if not 1 <= bits <= MAX_INTEGER_BITS:
        raise UnsupportedCodecError(
            f"AIFF with {bits}-bit PCM is not read; send 8 to 32 bits.", extra={"bits": bits}
        )
    sample_bytes = (bits + 7) // 8
    byte_order = "LITTLE" if compression in LITTLE_ENDIAN_INTEGER else "BIG"
    return sample_bytes, SampleEncoding(INTEGER_SUBTYPES[sample_bytes], byte_order)


def _rate_hz(extended: bytes) -> int:
    """Return an 80-bit float as a whole rate: sign and 15 bits of exponent, 64 bits of mantissa."""
    sign_and_exponent, mantissa = struct.unpack(">HQ", extended)
    exponent = min((sign_and_exponent & 0x7FFF) - EXPONENT_BIAS, MAX_RATE_EXPONENT)
    rate = round(mantissa * 2.0 ** (exponent - MANTISSA_BITS)) if exponent >= 0 else 0
    return -rate if sign_and_exponent & 0x8000 else rate
