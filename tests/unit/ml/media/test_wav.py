"""WAV files: every sample type that is read, every way in which a header can be wrong."""

import numpy as np
import pytest

from ml.media import (
    ChannelCountError,
    CorruptMediaError,
    MediaError,
    MediaInfo,
    MediaLimits,
    NoSamplesError,
    SampleRateError,
    TooLongError,
    TooManyBytesError,
    TooManySamplesError,
    TruncatedMediaError,
    UnsupportedCodecError,
    decode_audio,
    inspect_media,
)
from tests.unit.ml.media.files import (
    FLOAT,
    PCM,
    RATE_HZ,
    chunk,
    encode,
    extensible_fmt_chunk,
    fmt_chunk,
    quantise,
    riff,
    tone,
    wav,
)

SAMPLES = tone()
# One step of the coarser of both scales: signed integers reach from -1 to 1 - 1 step.
STEP = {8: 2**-6, 16: 2**-14, 24: 2**-22, 32: 1e-7}
FLOAT32_ERROR = 1e-7


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("is_extensible", [False, True])
def test_pcm_of_every_width(bits: int, is_extensible: bool) -> None:
    fmt = extensible_fmt_chunk(PCM, channels=1, bits=bits) if is_extensible else fmt_chunk(bits=bits)
    data = riff(fmt, chunk(b"data", quantise(SAMPLES, bits)))
    assert inspect_media(data) == MediaInfo("wav", 0.25, RATE_HZ, 1)
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP[bits])


@pytest.mark.parametrize(("bits", "dtype"), [(32, "<f4"), (64, "<f8")])
@pytest.mark.parametrize("is_extensible", [False, True])
def test_float_of_every_width(bits: int, dtype: str, is_extensible: bool) -> None:
    fmt = extensible_fmt_chunk(FLOAT, channels=1, bits=bits) if is_extensible else fmt_chunk(FLOAT, bits=bits)
    data = riff(fmt, chunk(b"data", SAMPLES.astype(dtype).tobytes()))
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=FLOAT32_ERROR)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("file_format", ["WAV", "WAVEX"])
def test_reads_what_libsndfile_writes(file_format: str, subtype: str) -> None:
    data = encode(np.stack([SAMPLES, SAMPLES], axis=1), file_format=file_format, subtype=subtype)
    assert inspect_media(data) == MediaInfo("wav", 0.25, RATE_HZ, 2)
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP[8])


def test_chunks_of_odd_and_even_size_stand_anywhere() -> None:
    data = riff(
        chunk(b"JUNK", bytes(28)),
        chunk(b"LIST", b"INFOIART\x05\0\0\0Anna\0"),
        fmt_chunk(),
        chunk(b"fact", b"\0\0\0\0"),
        chunk(b"note", b"odd"),
        chunk(b"data", quantise(SAMPLES, 16)),
        chunk(b"LIST", b"INFO"),
    )
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP[16])


def test_a_wrong_byte_rate_is_harmless() -> None:
    data = wav(SAMPLES)
    assert inspect_media(data[:28] + bytes(4) + data[32:]).duration_s == 0.25


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_file_is_decoded_to_its_end(size: int) -> None:
    data = wav(SAMPLES, data_size=size)
    assert inspect_media(data).duration_s == 0.25
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP[16])


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_file_may_end_within_a_sample(size: int) -> None:
    stereo = np.stack([SAMPLES, SAMPLES], axis=1)
    assert decode_audio(wav(stereo, data_size=size)[:-3], RATE_HZ).shape == (len(SAMPLES) - 1,)


def test_no_samples() -> None:
    with pytest.raises(NoSamplesError, match="0 samples"):
        inspect_media(wav([]))


def test_no_samples_before_other_chunks_is_no_stream() -> None:
    with pytest.raises(NoSamplesError, match="0 samples"):
        inspect_media(riff(fmt_chunk(), chunk(b"data", b""), chunk(b"LIST", b"INFO"), chunk(b"note", b"odd")))


@pytest.mark.parametrize("step", range(0, len(wav(tone(duration_s=0.01))), 7))
def test_every_cut_is_refused(step: int) -> None:
    with pytest.raises(MediaError):
        inspect_media(wav(tone(duration_s=0.01))[:step])


def test_a_truncated_file_says_how_much_is_missing() -> None:
    with pytest.raises(TruncatedMediaError, match="promises 8000 bytes of samples, 7999 are there") as caught:
        inspect_media(wav(SAMPLES)[:-1])
    assert caught.value.extra == {"declared_bytes": 8000, "available_bytes": 7999}


@pytest.mark.parametrize("size", [2**31, 0x7FFFF000, 0xFFFFFFFE, 8001])
def test_any_other_size_beyond_the_end_is_truncation(size: int) -> None:
    with pytest.raises(TruncatedMediaError):
        inspect_media(wav(SAMPLES, data_size=size))


@pytest.mark.parametrize(
    ("tag", "bits", "name"),
    [
        (0x11, 4, "IMA ADPCM"),
        (0x02, 4, "Microsoft ADPCM"),
        (0x06, 8, "A-law"),
        (0x07, 8, "mu-law"),
        (0x55, 0, "MP3"),
        (0x31, 0, "GSM 6.10"),
        (0xABCD, 16, "codec 0xabcd"),
        (PCM, 12, "12-bit PCM"),
        (PCM, 0, "0-bit PCM"),
        (PCM, 64, "64-bit PCM"),
        (FLOAT, 16, "16-bit IEEE float"),
    ],
)
def test_other_codecs_are_named(tag: int, bits: int, name: str) -> None:
    data = riff(fmt_chunk(tag, bits=bits), chunk(b"data", bytes(64)))
    with pytest.raises(UnsupportedCodecError, match=name):
        inspect_media(data)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "ALAW", "ULAW", "GSM610"])
def test_real_files_of_other_codecs_are_refused(subtype: str) -> None:
    with pytest.raises(UnsupportedCodecError):
        inspect_media(encode(tone(rate_hz=8000), 8000, "WAV", subtype))


def test_an_extensible_file_hides_no_codec() -> None:
    with pytest.raises(UnsupportedCodecError, match="IMA ADPCM"):
        inspect_media(riff(extensible_fmt_chunk(0x11, channels=1, bits=4), chunk(b"data", bytes(64))))
    with pytest.raises(UnsupportedCodecError, match="extensible format 0100"):
        inspect_media(
            riff(extensible_fmt_chunk(PCM, channels=1, bits=16, tail=bytes(14)), chunk(b"data", b"12"))
        )


@pytest.mark.parametrize("rate_hz", [0, 1, 7_999, 192_001, 2**32 - 1])
def test_sample_rates_outside_the_range(rate_hz: int) -> None:
    with pytest.raises(
        SampleRateError, match=f"^Sample rate {rate_hz} Hz is outside 8000-192000 Hz.$"
    ) as caught:
        inspect_media(wav(SAMPLES, rate_hz=rate_hz))
    assert caught.value.extra["sample_rate_hz"] == rate_hz


@pytest.mark.parametrize("rate_hz", [8_000, 192_000])
def test_sample_rates_at_the_ends_of_the_range(rate_hz: int) -> None:
    assert inspect_media(wav(SAMPLES, rate_hz=rate_hz)).sample_rate_hz == rate_hz


@pytest.mark.parametrize("channels", [0, 33, 1024, 65535])
def test_channel_counts_outside_the_range(channels: int) -> None:
    data = riff(fmt_chunk(channels=channels, frame_bytes=2), chunk(b"data", bytes(4096)))
    with pytest.raises(ChannelCountError, match=f"^{channels} channels are outside 1-32.$"):
        inspect_media(data)


def test_thirty_two_channels() -> None:
    data = riff(fmt_chunk(channels=32), chunk(b"data", quantise(np.tile(SAMPLES[:, None], 32), 16)))
    np.testing.assert_allclose(decode_audio(data, RATE_HZ), SAMPLES, atol=STEP[16])


@pytest.mark.parametrize("frame_bytes", [0, 1, 4, 65535])
def test_a_frame_size_that_contradicts_the_rest(frame_bytes: int) -> None:
    data = riff(fmt_chunk(frame_bytes=frame_bytes), chunk(b"data", bytes(64)))
    with pytest.raises(CorruptMediaError, match=f"contradicts itself.*not {frame_bytes}"):
        inspect_media(data)


def test_missing_and_misplaced_chunks() -> None:
    with pytest.raises(CorruptMediaError, match="no 'fmt' chunk before"):
        inspect_media(riff(chunk(b"data", bytes(64)), fmt_chunk()))
    with pytest.raises(TruncatedMediaError, match="no 'data' chunk"):
        inspect_media(riff(fmt_chunk()))
    with pytest.raises(CorruptMediaError, match="'fmt' chunk of the WAV file has 14 bytes"):
        inspect_media(riff(chunk(b"fmt ", bytes(14)), chunk(b"data", bytes(64))))
    short = chunk(b"fmt ", fmt_chunk(0xFFFE)[8:])
    with pytest.raises(CorruptMediaError, match="16 bytes; it needs at least 40"):
        inspect_media(riff(short, chunk(b"data", bytes(64))))


def test_a_file_of_nothing_but_chunks_is_refused() -> None:
    with pytest.raises(CorruptMediaError, match="more than 10000 chunks"):
        inspect_media(riff(chunk(b"LIST", b"") * 20_000))


def test_limits_of_size() -> None:
    data = wav(SAMPLES)
    exact = MediaLimits(max_bytes=len(data), max_duration_s=0.25, max_samples=4000)
    assert inspect_media(data, exact).duration_s == 0.25
    with pytest.raises(TooManyBytesError, match=f"{len(data)} bytes; the limit is 100."):
        inspect_media(data, MediaLimits(max_bytes=100))
    with pytest.raises(TooLongError, match=r"lasts 0.250 s; the limit is 0.2 s."):
        inspect_media(data, MediaLimits(max_duration_s=0.2))
    with pytest.raises(TooManySamplesError, match=r"4000 in all; the limit is 3999."):
        inspect_media(data, MediaLimits(max_samples=3999))


def test_the_limits_hold_for_decoding_as_well() -> None:
    with pytest.raises(TooLongError):
        decode_audio(wav(SAMPLES), RATE_HZ, MediaLimits(max_duration_s=0.2))
    with pytest.raises(TooManyBytesError):
        decode_audio(wav(SAMPLES), RATE_HZ, MediaLimits(max_bytes=100))
