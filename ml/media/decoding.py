"""Decodes a checked audio file to mono at a wanted rate, in blocks, believing no header about the length.

Conventions: blocks are float32 `(n_frames, channels)`, full scale is 1; mono is the mean of the channels;
the result is `(n_samples,)`. libsndfile decodes, called without librosa, which would fall back to other
decoders. Time and memory are bounded by the limits, not by what the file says.
"""

import io
from collections.abc import Iterator

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from ml.media.errors import (
    CorruptMediaError,
    ExcessiveLevelError,
    NonFiniteSamplesError,
    NoSamplesError,
    TruncatedMediaError,
)
from ml.media.inspection import read_stream
from ml.media.limits import DEFAULT_LIMITS, MediaLimits, check_duration
from ml.media.stream import AudioStream

BLOCK_SAMPLES = 1 << 18
# Integers that were written as float without scaling stay below; their power still fits into float32.
MAX_LEVEL = 2.0**32
SPARE_SAMPLES = 1 << 10  # a resampler rounds up
RESAMPLING_QUALITY = "HQ"
# What libsndfile states where a FLAC stream or a chained Ogg does not say how long it is.
UNKNOWN_LENGTH = 2**63 - 1


def decode_audio(
    data: bytes, sample_rate_hz: int, limits: MediaLimits = DEFAULT_LIMITS
) -> NDArray[np.float32]:
    """Decode an audio file, mix it to mono and resample it.

    Parameters
    ----------
    data : bytes
        The whole file: WAV, FLAC, OGG, MP3 or AIFF.
    sample_rate_hz : int
        The rate of the result.
    limits : MediaLimits
        How large it may be; enforced on what is really decoded.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        The mean of the channels; full scale is 1.

    Raises
    ------
    UnsupportedMediaError, MediaTooLargeError, InvalidMediaError
        As `inspect_media`, and for what only decoding shows: samples that are no finite numbers, damaged
        frames, less sound than promised, more sound than allowed.
    """
    stream = read_stream(data, limits)
    blocks = _resampled(_mono_blocks(stream, limits), stream.sample_rate_hz, sample_rate_hz)
    expected = min(stream.duration_s, limits.max_duration_s) * sample_rate_hz
    samples = _joined(blocks, int(expected) + SPARE_SAMPLES)
    if samples.size == 0:
        raise NoSamplesError(
            f"The file's sound is shorter than one sample at {sample_rate_hz} Hz: "
            f"{stream.n_frames} samples at {stream.sample_rate_hz} Hz."
        )
    return samples


def _joined(blocks: Iterator[NDArray[np.float32]], n_expected: int) -> NDArray[np.float32]:
    """Lay blocks behind each other in one array `(n,)`, so that the sound is never held twice."""
    samples = np.empty(n_expected, dtype=np.float32)
    n_filled = 0
    for block in blocks:
        if n_filled + len(block) > len(samples):
            samples.resize(n_filled + n_filled // 4 + len(block), refcheck=False)
        samples[n_filled : n_filled + len(block)] = block
        n_filled += len(block)
    samples.resize(n_filled, refcheck=False)
    return samples


class _ForwardReader(sf.SoundFile):  # type: ignore[misc]  # soundfile carries no types
    """A sound file that is only read from front to end.

    soundfile seeks to where it already is after every read of a seekable file; FLAC files without a stated
    length and damaged ones fail at that, and MP3 loses the bits that a frame borrows from the one before.
    """

    def seekable(self) -> bool:
        return False


class _Bytes:
    """Bytes for libsndfile, read where they lie.

    What is damaged makes libsndfile seek before the start; an exception there would only be printed.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, room: memoryview) -> int:
        found = self._data[self._position : self._position + len(room)]
        room[: len(found)] = found
        self._position += len(found)
        return len(found)


def _open(stream: AudioStream) -> _ForwardReader:
    if stream.encoding is None:
        reader = _ForwardReader(_Bytes(stream.payload))
    else:
        reader = _ForwardReader(
            _Bytes(stream.payload),
            samplerate=stream.sample_rate_hz,
            channels=stream.channels,
            format="RAW",
            subtype=stream.encoding.subtype,
            endian=stream.encoding.byte_order,
        )
    if (reader.samplerate, reader.channels) != (stream.sample_rate_hz, stream.channels):
        found = f"{reader.channels} channels at {reader.samplerate} Hz"
        reader.close()
        raise CorruptMediaError(
            f"The {stream.format.upper()} header contradicts itself: it states {stream.channels} channels at "
            f"{stream.sample_rate_hz} Hz, and {found}."
        )
    return reader


def _mono_blocks(stream: AudioStream, limits: MediaLimits) -> Iterator[NDArray[np.float32]]:
    """Yield checked blocks `(n,)` until the sound ends, and check that as much came as was promised."""
    name = stream.format.upper()
    block_frames = max(1, BLOCK_SAMPLES // stream.channels)
    n_decoded = 0
    try:
        with _open(stream) as reader:
            n_promised = stream.n_frames if stream.encoding is not None else reader.frames
            while n_decoded < n_promised:  # what lies behind is a tag, and no sound
                n_wanted = min(block_frames, n_promised - n_decoded)
                block = reader.read(n_wanted, dtype="float32", always_2d=True)  # (n, channels)
                if len(block) == 0:
                    break
                _check_samples(block, n_decoded, stream.sample_rate_hz)
                n_decoded += len(block)
                check_duration(n_decoded / stream.sample_rate_hz, limits, is_whole=False)
                yield _mono(block)
    except sf.SoundFileError as error:
        raise CorruptMediaError(
            f"The {name} data cannot be decoded after {n_decoded / stream.sample_rate_hz:.3f} s: "
            f"{getattr(error, 'error_string', error)}"
        ) from error
    if n_decoded == 0:
        raise NoSamplesError(f"The {name} file holds 0 samples.")
    if n_decoded < n_promised != UNKNOWN_LENGTH:
        raise TruncatedMediaError(
            f"The {name} file is cut off or damaged: {n_promised} samples are promised, "
            f"{n_decoded} can be decoded.",
            extra={"declared_samples": n_promised, "decoded_samples": n_decoded},
        )


def _mono(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the channels, `(n,)`; channel by channel, since there are few."""
    mono = block[:, 0]
    for channel in range(1, block.shape[1]):
        mono = mono + block[:, channel]
    return mono if block.shape[1] == 1 else mono / np.float32(block.shape[1])


def _check_samples(block: NDArray[np.float32], n_before: int, sample_rate_hz: int) -> None:
    """Refuse NaN, infinity and levels whose power would overflow."""
    peak = max(float(block.max()), -float(block.min()))  # NaN if there is one
    if peak <= MAX_LEVEL:
        return
    frame, channel = np.argwhere(~(np.abs(block) <= MAX_LEVEL))[0]
    value = float(block[frame, channel])
    where = f"{value:g} in channel {channel + 1} at {(n_before + frame) / sample_rate_hz:.3f} s"
    if not np.isfinite(value):
        raise NonFiniteSamplesError(f"All samples must be finite numbers, but one is {where}.")
    raise ExcessiveLevelError(f"No sample may exceed {MAX_LEVEL:g} (full scale is 1), but one is {where}.")


def _resampled(
    blocks: Iterator[NDArray[np.float32]], from_rate_hz: int, to_rate_hz: int
) -> Iterator[NDArray[np.float32]]:
    if from_rate_hz == to_rate_hz:
        yield from blocks
        return
    resampler = soxr.ResampleStream(from_rate_hz, to_rate_hz, 1, dtype="float32", quality=RESAMPLING_QUALITY)
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
