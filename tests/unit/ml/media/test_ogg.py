"""Ogg files with Vorbis and Opus: whole, damaged, cut off, chained."""

import struct

import numpy as np
import pytest

from ml.media import (
    ChannelCountError,
    CorruptMediaError,
    MediaError,
    MediaInfo,
    NoSamplesError,
    SampleRateError,
    TooLongError,
    TruncatedMediaError,
    UnsupportedCodecError,
    UnsupportedFormatError,
    decode_audio,
    inspect_media,
)
from tests.unit.ml.media.files import RATE_HZ, encode, ogg_checksum, ogg_page, ogg_page_starts, tone

SAMPLES = tone(duration_s=1.0)
VORBIS = encode(SAMPLES, file_format="OGG", subtype="VORBIS")
OPUS = encode(SAMPLES, file_format="OGG", subtype="OPUS")
OPUS_RATE_HZ = 48_000
LOSSY_ERROR = 0.05
LAST = 0x04


def with_checksum(page: bytes) -> bytes:
    return page[:22] + struct.pack("<I", ogg_checksum(page)) + page[26:]


def vorbis_header(channels: int = 1, rate_hz: int = RATE_HZ) -> bytes:
    return b"\x01vorbis" + struct.pack("<IBI", 0, channels, rate_hz) + bytes(14)


def test_vorbis() -> None:
    assert inspect_media(VORBIS) == MediaInfo("ogg", 1.0, RATE_HZ, 1)
    np.testing.assert_allclose(decode_audio(VORBIS, RATE_HZ), SAMPLES, atol=LOSSY_ERROR)


def test_opus_is_decoded_at_its_full_rate() -> None:
    assert inspect_media(OPUS) == MediaInfo("ogg", 1.0, OPUS_RATE_HZ, 1)
    full = tone(duration_s=1.0, rate_hz=OPUS_RATE_HZ)
    decoded = decode_audio(encode(full, OPUS_RATE_HZ, "OGG", "OPUS"), OPUS_RATE_HZ)
    inner = slice(OPUS_RATE_HZ // 10, -OPUS_RATE_HZ // 10)  # the codec rings at both ends
    np.testing.assert_allclose(decoded[inner], full[inner], atol=LOSSY_ERROR)


def test_opus_without_a_rate_in_its_header_keeps_its_high_frequencies() -> None:
    high = tone(9_000.0, 1.0, OPUS_RATE_HZ)
    opus = encode(high, OPUS_RATE_HZ, "OGG", "OPUS")
    end = ogg_page_starts(opus)[1]
    at = opus.index(b"OpusHead") + 12
    unspecified = with_checksum(opus[:at] + bytes(4) + opus[at + 4 : end]) + opus[end:]
    decoded = decode_audio(unspecified, OPUS_RATE_HZ)
    np.testing.assert_array_equal(decoded, decode_audio(opus, OPUS_RATE_HZ))
    assert np.std(decoded) == pytest.approx(np.std(high), rel=LOSSY_ERROR)


@pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["vorbis", "opus"])
def test_every_cut_is_refused(data: bytes) -> None:
    starts = ogg_page_starts(data)
    for cut in [0, 1, 3, 4, 26, *starts[1:], *range(5, len(data), 997), len(data) - 1]:
        with pytest.raises(MediaError):
            inspect_media(data[:cut])


@pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["vorbis", "opus"])
def test_a_lost_last_page_is_truncation(data: bytes) -> None:
    with pytest.raises(TruncatedMediaError, match="not marked last"):
        inspect_media(data[: ogg_page_starts(data)[-1]])


@pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["vorbis", "opus"])
def test_a_lost_page_in_the_middle_is_refused_while_decoding(data: bytes) -> None:
    long = encode(
        np.tile(SAMPLES, 20) + 0.1 * np.random.default_rng(0).standard_normal(20 * RATE_HZ),
        file_format="OGG",
        subtype="VORBIS" if data is VORBIS else "OPUS",
    )
    starts = ogg_page_starts(long)
    middle = len(starts) // 2
    with pytest.raises(TruncatedMediaError, match="can be decoded"):
        decode_audio(long[: starts[middle]] + long[starts[middle + 1] :], RATE_HZ)


@pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["vorbis", "opus"])
def test_a_damaged_page_is_refused(data: bytes) -> None:
    at = len(data) // 2
    with pytest.raises(CorruptMediaError, match=r"page at byte \d+ is damaged"):
        inspect_media(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_bytes_between_pages_are_refused() -> None:
    start = ogg_page_starts(VORBIS)[2]
    with pytest.raises(CorruptMediaError, match=f"something else than a page at byte {start}"):
        inspect_media(VORBIS[:start] + b"junk" + VORBIS[start:])


def test_chained_files_are_refused() -> None:
    with pytest.raises(UnsupportedFormatError, match="several streams"):
        inspect_media(VORBIS + OPUS)


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        (b"\x7fFLAC\x01", "FLAC in Ogg"),
        (b"Speex   1.2", "Speex"),
        (b"\x80theora", "Theora"),
        (b"?", "unknown codec"),
    ],
)
def test_other_codecs_are_named(magic: bytes, name: str) -> None:
    with pytest.raises(UnsupportedCodecError, match=name):
        inspect_media(ogg_page(magic + bytes(40), flags=LAST))


def test_headers_outside_the_limits() -> None:
    with pytest.raises(SampleRateError, match="Sample rate 1 Hz"):
        inspect_media(ogg_page(vorbis_header(rate_hz=1), flags=LAST))
    with pytest.raises(ChannelCountError, match="255 channels"):
        inspect_media(ogg_page(vorbis_header(channels=255), flags=LAST))


def test_a_length_outside_the_limits() -> None:
    header = ogg_page(vorbis_header())
    with pytest.raises(TooLongError):
        inspect_media(header + ogg_page(b"x", granule=2**62, flags=LAST, number=1))
    with pytest.raises(NoSamplesError):
        inspect_media(header + ogg_page(b"x", granule=0, flags=LAST, number=1))
    with pytest.raises(CorruptMediaError, match="impossible sample -5"):
        inspect_media(header + ogg_page(b"x", granule=-5, flags=LAST, number=1))


def test_well_formed_pages_with_nonsense_in_them_are_refused_while_decoding() -> None:
    data = ogg_page(vorbis_header()) + ogg_page(b"nonsense", granule=16_000, flags=LAST, number=1)
    assert inspect_media(data).duration_s == 1.0
    with pytest.raises(CorruptMediaError, match="cannot be decoded"):
        decode_audio(data, RATE_HZ)


def test_a_file_of_nothing_but_empty_pages_is_refused() -> None:
    empty = ogg_page(b"", number=1)
    with pytest.raises(CorruptMediaError, match="more than 100000 pages"):
        inspect_media(ogg_page(vorbis_header()) + empty * 300_000)
