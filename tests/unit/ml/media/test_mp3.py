"""MP3 files: their true length, whatever the first frame says or leaves out; damage; tags."""

import numpy as np
import pytest

from ml.media import (
    CorruptMediaError,
    MediaInfo,
    MediaLimits,
    NoSamplesError,
    TooLongError,
    TruncatedMediaError,
    UnknownFormatError,
    UnsupportedCodecError,
    decode_audio,
    inspect_media,
)
from ml.media.mp3_frames import parse_frame_header
from tests.unit.ml.media.files import encode, tone, vbr_mp3

RATE_HZ = 44_100
DURATION_S = 3.0
LOSSY_ERROR = 0.02
# Quiet at first, so that a guess from the first frame's bit rate goes far wrong.
SAMPLES = np.concatenate([np.zeros(RATE_HZ), tone(440.0, 2.0, RATE_HZ)])
SAMPLES[RATE_HZ:] += 0.2 * np.random.default_rng(0).standard_normal(2 * RATE_HZ)
VBR = vbr_mp3(SAMPLES)
CBR = encode(tone(440.0, DURATION_S, RATE_HZ), RATE_HZ, "MP3", "MPEG_LAYER_III")
FRAME_SAMPLES, DECODER_DELAY = 1152, 529


def frame_starts(data: bytes) -> list[int]:
    starts, position = [], 0
    while (header := parse_frame_header(data, position)) is not None:
        starts.append(position)
        position += header.n_bytes
    return [*starts, position]


STARTS = frame_starts(VBR)


@pytest.mark.parametrize("data", [VBR, CBR], ids=["vbr", "cbr"])
def test_the_length_is_exact(data: bytes) -> None:
    assert inspect_media(data) == MediaInfo("mp3", DURATION_S, RATE_HZ, 1)
    assert decode_audio(data, RATE_HZ).shape == (round(DURATION_S * RATE_HZ),)


def test_the_sound_is_the_same() -> None:
    np.testing.assert_allclose(decode_audio(CBR, RATE_HZ), tone(440.0, DURATION_S, RATE_HZ), atol=LOSSY_ERROR)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 32_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_version_and_channel_mode(rate_hz: int, channels: int) -> None:
    samples = np.tile(tone(440.0, 0.5, rate_hz)[:, None], channels)
    data = encode(samples, rate_hz, "MP3", "MPEG_LAYER_III")
    assert inspect_media(data) == MediaInfo("mp3", 0.5, rate_hz, channels)
    without_count = data[frame_starts(data)[1] :]
    assert decode_audio(data, rate_hz).shape == (len(samples),)
    assert len(decode_audio(without_count, rate_hz)) >= len(samples)


def test_a_variable_bit_rate_without_a_count_loses_nothing() -> None:
    data = VBR[STARTS[1] :]
    n_frames = len(STARTS) - 2
    expected = n_frames * FRAME_SAMPLES - DECODER_DELAY
    assert inspect_media(data).duration_s == expected / RATE_HZ
    decoded = decode_audio(data, RATE_HZ)
    assert decoded.shape == (expected,)
    assert np.std(decoded[-RATE_HZ:]) > 0.3  # the loud part, which a guess would drop


def test_the_older_count_is_replaced() -> None:
    count = (len(STARTS) - 2).to_bytes(4, "big")
    frame = VBR[: STARTS[1]]
    vbri = frame[:36].replace(b"Xing", bytes(4)) + b"VBRI" + bytes(10) + count
    data = vbri.ljust(len(frame), b"\0") + VBR[STARTS[1] :]
    without_count = decode_audio(VBR[STARTS[1] :], RATE_HZ)
    np.testing.assert_array_equal(decode_audio(data, RATE_HZ), without_count)


def test_joined_files_are_decoded_to_the_end() -> None:
    decoded = decode_audio(VBR + VBR, RATE_HZ)
    assert len(decoded) / RATE_HZ == pytest.approx(2 * DURATION_S, abs=0.1)
    assert np.std(decoded[-RATE_HZ:]) > 0.3


@pytest.mark.parametrize("n_kept", [2, 30, len(STARTS) - 3])
def test_frames_missing_at_the_end_are_truncation(n_kept: int) -> None:
    with pytest.raises(
        TruncatedMediaError, match=f"{len(STARTS) - 2} frames are promised, {n_kept - 1} are there"
    ):
        inspect_media(VBR[: STARTS[n_kept]])


@pytest.mark.parametrize("n_missing", [1, 10, len(VBR) // 2, len(VBR) - 100])
def test_a_cut_within_a_frame_is_truncation(n_missing: int) -> None:
    with pytest.raises(TruncatedMediaError):
        inspect_media(VBR[:-n_missing])


def test_a_count_that_includes_its_own_frame_is_believed() -> None:
    at = VBR.index(b"Xing") + 8
    data = VBR[:at] + (len(STARTS) - 1).to_bytes(4, "big") + VBR[at + 4 :]
    assert len(decode_audio(data, RATE_HZ)) >= DURATION_S * RATE_HZ


def test_a_stream_without_a_count_may_end_within_a_frame() -> None:
    data = VBR[STARTS[1] : -10]
    expected = (len(STARTS) - 3) * FRAME_SAMPLES - DECODER_DELAY
    assert decode_audio(data, RATE_HZ).shape == (expected,)


@pytest.mark.parametrize("first", [1, 2, 5, 40])
def test_a_stream_may_begin_anywhere(first: int) -> None:
    data = VBR[STARTS[first] :]
    expected = (len(STARTS) - 1 - first) * FRAME_SAMPLES - DECODER_DELAY
    assert decode_audio(data, RATE_HZ).shape == (expected,)


@pytest.mark.parametrize("damage", [b"", bytes(7), b"\xff" * 300, b"noise" * 100])
def test_damage_between_frames_is_refused(damage: bytes) -> None:
    at = STARTS[20]
    data = VBR[:at] + damage + VBR[at + 7 :]
    with pytest.raises(CorruptMediaError, match=f"break off at byte {at}"):
        inspect_media(data)


@pytest.mark.parametrize(
    "tag",
    [
        b"TAG" + bytes(125),
        b"APETAGEX\xd0\x07\0\0"
        + (64).to_bytes(4, "little")
        + bytes(4)
        + (1 << 29).to_bytes(4, "little")
        + bytes(72),
        bytes(5000),
        b"\xff\xff text that nobody knows",
        b"LYRICSBEGIN" + b"la" * 100 + b"LYRICS200",
    ],
    ids=["id3v1", "ape", "zeros", "junk", "lyrics"],
)
def test_what_stands_behind_the_sound_is_harmless(tag: bytes) -> None:
    np.testing.assert_array_equal(decode_audio(VBR + tag, RATE_HZ), decode_audio(VBR, RATE_HZ))


@pytest.mark.parametrize("flags", [0, 0x10])
def test_tags_before_and_between_are_skipped(flags: int) -> None:
    footer = bytes(10) if flags else b""
    tag = b"ID3\x04\0" + bytes([flags]) + b"\0\0\x02\x00" + b"\xff\xfb" * 128 + footer
    expected = decode_audio(VBR, RATE_HZ)
    np.testing.assert_array_equal(decode_audio(tag + VBR, RATE_HZ), expected)
    between = VBR[: STARTS[20]] + tag + VBR[STARTS[20] :]
    np.testing.assert_array_equal(decode_audio(between, RATE_HZ), expected)


def test_an_information_frame_alone_holds_no_sound() -> None:
    at = VBR.index(b"Xing") + 4
    uncounted = VBR[:at] + bytes(4) + VBR[at + 4 : STARTS[1]]
    with pytest.raises(NoSamplesError):
        inspect_media(uncounted)


def test_a_free_format_is_named() -> None:
    header = bytearray(VBR[STARTS[1] : STARTS[1] + 4])
    header[2] &= 0x0F
    with pytest.raises(UnsupportedCodecError, match="free-format"):
        inspect_media(bytes(header) + bytes(2000))


def test_one_sync_code_makes_no_mp3() -> None:
    with pytest.raises(UnknownFormatError):
        inspect_media(VBR[:4] + bytes(5000))


def test_a_long_file_is_refused_early() -> None:
    with pytest.raises(TooLongError, match=r"at least 1\.0"):
        inspect_media(VBR, MediaLimits(max_duration_s=1.0))


def test_a_million_empty_tags_cost_little() -> None:
    data = VBR[STARTS[1] : STARTS[3]] + b"ID3\x04\0\0\0\0\0\0" * 1_000_000
    assert inspect_media(data).duration_s == (2 * FRAME_SAMPLES - DECODER_DELAY) / RATE_HZ
