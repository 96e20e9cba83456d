"""AIFF and AIFF-C files."""

import struct

import numpy as np
import pytest

from ml.media import (
    CorruptMediaError,
    MediaError,
    MediaInfo,
    NoSamplesError,
    SampleRateError,
    TruncatedMediaError,
    UnsupportedCodecError,
    decode_audio,
    inspect_media,
)
from tests.unit.ml.media.files import RATE_HZ, aiff, encode, tone

SAMPLES = tone()
STEP_8, STEP_16 = 2**-6, 2**-14


def extended(value: float) -> bytes:
    """An 80-bit float, from its definition."""
    mantissa, exponent = np.frexp(abs(value))
    return struct.pack(">HQ", int(exponent) + 16382 | (0x8000 if value < 0 else 0), int(mantissa * 2**64))


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_reads_what_libsndfile_writes(subtype: str) -> None:
    data = encode(np.stack([SAMPLES, SAMPLES], axis=1), file_format="AIFF", subtype=subtype)
    assert inspect_media(data) == MediaInfo("aiff", 0.25, RATE_HZ, 2)
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP_8)


@pytest.mark.parametrize("compression", [None, b"NONE", b"twos"])
def test_big_endian_integers(compression: bytes | None) -> None:
    data = aiff(SAMPLES, compression=compression)
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP_16)


def test_little_endian_integers() -> None:
    swapped = np.round(SAMPLES * 32767).astype("<i2").view(">i2") / 32767
    data = aiff(swapped, compression=b"sowt")
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP_16)


def test_twelve_bits_lie_in_two_bytes() -> None:
    np.testing.assert_allclose(decode_audio(aiff(SAMPLES, bits=12), RATE_HZ), SAMPLES, atol=STEP_16)


@pytest.mark.parametrize("compression", [b"ima4", b"ulaw", b"alaw", b"MAC3", b"\0\xff\0\0"])
def test_other_codecs_are_named(compression: bytes) -> None:
    name = compression.decode("ascii") if compression.isalnum() else compression.hex()
    with pytest.raises(UnsupportedCodecError, match=name):
        inspect_media(aiff(SAMPLES, compression=compression))


@pytest.mark.parametrize("bits", [0, 33, 64])
def test_other_widths_are_named(bits: int) -> None:
    with pytest.raises(UnsupportedCodecError, match=f"{bits}-bit PCM"):
        inspect_media(aiff(SAMPLES, bits=bits))


@pytest.mark.parametrize("rate_hz", [11_025, 44_100, 192_000])
def test_the_rate_is_an_80_bit_float(rate_hz: int) -> None:
    assert inspect_media(aiff(SAMPLES, rate=extended(rate_hz))).sample_rate_hz == rate_hz


@pytest.mark.parametrize(
    "rate",
    [extended(1.0), extended(-44_100.0), bytes(10), b"\x7f" + b"\xff" * 9, b"\xff" * 10, extended(1e300)],
)
def test_rates_outside_the_range(rate: bytes) -> None:
    with pytest.raises(SampleRateError):
        inspect_media(aiff(SAMPLES, rate=rate))


def test_no_samples() -> None:
    with pytest.raises(NoSamplesError, match="0 samples"):
        inspect_media(aiff([]))


@pytest.mark.parametrize("cut", range(0, len(aiff(tone(duration_s=0.01))), 7))
def test_every_cut_is_refused(cut: int) -> None:
    with pytest.raises(MediaError):
        inspect_media(aiff(tone(duration_s=0.01))[:cut])


def test_a_truncated_file_says_how_much_is_missing() -> None:
    with pytest.raises(TruncatedMediaError, match="promises 8008 bytes of samples, 8007 are there"):
        inspect_media(aiff(SAMPLES)[:-1])


def test_fewer_samples_than_announced() -> None:
    data = aiff(SAMPLES)
    at = data.index(b"COMM") + 10
    with pytest.raises(CorruptMediaError, match="8002 bytes of samples are announced, 8000 lie"):
        inspect_media(data[:at] + struct.pack(">I", len(SAMPLES) + 1) + data[at + 4 :])


def test_missing_chunks() -> None:
    data = aiff(SAMPLES)
    with pytest.raises(CorruptMediaError, match="no 'COMM' chunk"):
        inspect_media(data.replace(b"COMM", b"NOTE"))
    with pytest.raises(CorruptMediaError, match="no 'SSND' chunk"):
        inspect_media(data.replace(b"SSND", b"NOTE"))
