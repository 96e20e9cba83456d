"""FLAC files: lengths that are stated, unknown and false; damage that only decoding shows."""

import io

import numpy as np
import pytest
import soundfile as sf

from ml.media import (
    CorruptMediaError,
    MediaError,
    MediaInfo,
    MediaLimits,
    NoSamplesError,
    SampleRateError,
    TooLongError,
    TruncatedMediaError,
    decode_audio,
    inspect_media,
)
from tests.unit.ml.media.files import RATE_HZ, encode, flac_with_total, streamed_flac, tone

SAMPLES = tone(duration_s=1.0) + 0.01 * np.random.default_rng(0).standard_normal(RATE_HZ)
FLAC = encode(SAMPLES, file_format="FLAC")
STEP_16 = 2**-14


def silent_hour() -> bytes:
    """An hour of silence: half a megabyte at most."""
    target = io.BytesIO()
    with sf.SoundFile(target, "w", 8_000, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros(60 * 8_000, dtype=np.int16))
    return target.getvalue()


def checksum(data: bytes, polynomial: int, bits: int) -> int:
    """A checksum of FLAC, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc >> bits - 1 else 0)) & (1 << bits) - 1
    return crc


def frame_start(flac: bytes) -> int:
    """Where the metadata of a FLAC file ends."""
    position, is_last = 4, False
    while not is_last:
        is_last = bool(flac[position] & 0x80)
        position += 4 + int.from_bytes(flac[position + 1 : position + 4], "big")
    return position


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_decodes(subtype: str) -> None:
    data = encode(np.stack([SAMPLES, SAMPLES], axis=1), file_format="FLAC", subtype=subtype)
    assert inspect_media(data) == MediaInfo("flac", 1.0, RATE_HZ, 2)
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=2**-6)


def test_an_unknown_length_is_found_in_the_last_frame() -> None:
    data = streamed_flac(FLAC)
    assert inspect_media(data).duration_s == 1.0
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP_16)


@pytest.mark.parametrize("n_frames", [1, 17, 192, 575, 576, 4096, 4608, 5000, 70_000])
def test_an_unknown_length_of_every_coding_of_the_last_block(n_frames: int) -> None:
    data = streamed_flac(encode(np.resize(SAMPLES, n_frames), file_format="FLAC"))
    assert inspect_media(data).duration_s == n_frames / RATE_HZ
    assert decode_audio(data, RATE_HZ).shape == (n_frames,)


def test_an_unknown_length_with_blocks_numbered_by_sample() -> None:
    data = streamed_flac(encode(SAMPLES[:1000], file_format="FLAC"))
    start = frame_start(data)
    header = b"\xff\xf9" + data[start + 2 : start + 7]  # five fixed bytes, then 16 bits of block size
    header += bytes([checksum(header, 0x07, 8)])
    frame = header + data[start + len(header) : -2]
    variable = data[:start] + frame + checksum(frame, 0x8005, 16).to_bytes(2, "big")
    assert inspect_media(variable).duration_s == 1000 / RATE_HZ
    np.testing.assert_array_equal(decode_audio(variable, RATE_HZ), decode_audio(data, RATE_HZ))


@pytest.mark.parametrize("alter", [bytes, streamed_flac])
def test_an_hour_of_silence_is_refused_before_decoding(alter: "type[bytes]") -> None:
    data = alter(silent_hour())
    assert len(data) < 500_000
    with pytest.raises(TooLongError, match=r"lasts 3600.000 s; the limit is 600 s."):
        inspect_media(data)


def test_a_length_that_hides_the_rest_is_found_while_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.media.decoding.BLOCK_SAMPLES", 1_000)
    data = streamed_flac(FLAC)
    start = frame_start(data)
    false_header = data[start : start + 4] + b"\0"
    false_end = false_header + bytes([checksum(false_header, 0x07, 8)]) + bytes(10)
    hiding = data + false_end
    limits = MediaLimits(max_duration_s=0.5)
    assert inspect_media(hiding, limits).duration_s < 0.5
    with pytest.raises(TooLongError, match="at least"):
        decode_audio(hiding, RATE_HZ, limits)


def test_a_length_beyond_the_end_is_truncation() -> None:
    data = flac_with_total(FLAC, RATE_HZ + 1)
    assert inspect_media(data).duration_s > 1.0
    with pytest.raises(TruncatedMediaError, match="16001 samples are promised, 16000 can be decoded"):
        decode_audio(data, RATE_HZ)


@pytest.mark.parametrize(
    "cut", [0, 3, 4, 7, 8, 40, 41, 42, 60, 100, len(FLAC) // 2, len(FLAC) - 3, len(FLAC) - 1]
)
@pytest.mark.parametrize("alter", [bytes, streamed_flac])
def test_every_cut_is_refused(cut: int, alter: "type[bytes]") -> None:
    with pytest.raises(MediaError):
        decode_audio(alter(FLAC)[:cut], RATE_HZ)


def test_a_file_cut_in_the_middle_says_so() -> None:
    data = FLAC[: len(FLAC) // 2]
    assert inspect_media(data).duration_s == 1.0  # the header cannot know
    with pytest.raises(CorruptMediaError, match=r"cannot be decoded after 0\.\d{3} s"):
        decode_audio(data, RATE_HZ)


def test_no_frames_at_all() -> None:
    start = frame_start(FLAC)
    with pytest.raises(TruncatedMediaError, match="promises 16000 samples, none are there"):
        inspect_media(FLAC[:start])
    with pytest.raises(NoSamplesError):
        inspect_media(streamed_flac(FLAC)[:start])


@pytest.mark.parametrize("position", [0.3, 0.5, 0.9])
def test_a_damaged_frame_is_refused_while_decoding(position: float) -> None:
    at = int(len(FLAC) * position)
    data = FLAC[:at] + bytes([FLAC[at] ^ 0x55]) + FLAC[at + 1 :]
    assert inspect_media(data).duration_s == 1.0
    with pytest.raises(CorruptMediaError):
        decode_audio(data, RATE_HZ)


def test_tags_before_and_behind() -> None:
    data = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + FLAC + b"TAG" + bytes(125)
    assert inspect_media(data).duration_s == 1.0
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP_16)


def test_rates_outside_the_range() -> None:
    packed = bytearray(FLAC)
    packed[18:21] = bytes([0, 0, packed[20] & 0x0F | 1 << 4])
    with pytest.raises(SampleRateError, match="Sample rate 1 Hz is outside"):
        inspect_media(bytes(packed))


def test_metadata_that_makes_no_sense() -> None:
    with pytest.raises(CorruptMediaError, match="metadata block of type 1"):
        inspect_media(b"fLaC\x01" + FLAC[5:])
    with pytest.raises(CorruptMediaError, match="more than 10000 metadata blocks"):
        inspect_media(b"fLaC\0" + FLAC[5:42] + b"\x01\0\0\0" * 20_000)
    with pytest.raises(CorruptMediaError, match="no frame after its metadata"):
        inspect_media(streamed_flac(FLAC)[: frame_start(FLAC)] + b"not a frame")
    with pytest.raises(CorruptMediaError, match="no readable frame"):
        inspect_media(streamed_flac(FLAC)[: frame_start(FLAC)] + b"\xff\xf8" * 100_000)
