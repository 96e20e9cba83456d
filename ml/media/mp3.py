"""Reads the structure of MP3 files: counts the frames, and tells the decoder, which would guess.

Conventions: an MP3 file is a row of frames; tags may stand before, between and after them. libsndfile
believes the count in the first frame and, where there is none, guesses the length from the first frame's
bit rate and stops there: a recording with a variable bit rate loses most of its sound. So the payload for
the decoder always begins with an information frame (`mp3_frames`) that states the true count.
"""

from dataclasses import dataclass

from ml.media.errors import CorruptMediaError, TruncatedMediaError, UnsupportedCodecError
from ml.media.limits import MediaLimits, check_duration, check_rate_and_channels
from ml.media.mp3_frames import (
    DECODER_DELAY,
    FREE_FORMAT,
    FrameHeader,
    continues_at,
    parse_frame_header,
    parse_info_frame,
    write_info_frame,
)
from ml.media.stream import AudioStream
from ml.media.tags import skip_tags

# Between frames, other bytes than tags are damage; behind the last frame they are harmless. How far to look:
RESYNC_BYTES = 65_536


def read_mp3(data: bytes, limits: MediaLimits) -> AudioStream:
    """Return what the frames of an MP3 file say about its sound; `data` begins with a frame.

    A piece of a frame at the end is dropped where no information frame says that the file should go on:
    streams are cut like that, and nothing tells how much is missing.

    Raises
    ------
    UnsupportedCodecError, CorruptMediaError, TruncatedMediaError, TooLongError, SampleRateError,
    ChannelCountError
    """
    first = parse_frame_header(data, 0)
    if first is None:
        raise CorruptMediaError("The MP3 file does not begin with a frame.")
    channels = 1 if first.is_mono else 2
    check_rate_and_channels(first.sample_rate_hz, channels, limits)
    walk = _walk_frames(data, first, limits)
    info = parse_info_frame(data, first)
    n_frames = walk.n_frames if info is None else walk.n_frames - 1
    promised = info.n_frames if info is not None and info.n_frames is not None else 0
    # Some encoders count the information frame as well: one less is damage only if a piece of it is there.
    missing = promised - n_frames
    if walk.n_frames == 0 or missing > 1 or (missing == 1 and walk.ends_in_frame):
        raise TruncatedMediaError(
            f"The MP3 file is cut off: {max(1, promised)} frames are promised, {max(0, n_frames)} are there.",
            extra={"declared_frames": max(1, promised), "available_frames": max(0, n_frames)},
        )
    if info is not None and info.is_readable and info.n_frames == n_frames:
        payload = data[: walk.end]
        n_dropped = DECODER_DELAY if info.n_padding_samples is None else info.n_padding_samples
    else:
        sound_start = 0 if info is None else first.n_bytes
        payload = write_info_frame(data, first, n_frames) + data[sound_start : walk.end]
        n_dropped = DECODER_DELAY
    return AudioStream(
        format="mp3",
        sample_rate_hz=first.sample_rate_hz,
        channels=channels,
        n_frames=max(0, n_frames * first.n_samples - n_dropped),
        payload=payload,
    )


@dataclass(frozen=True)
class _Walk:
    n_frames: int
    end: int
    ends_in_frame: bool


def _walk_frames(data: bytes, first: FrameHeader, limits: MediaLimits) -> _Walk:
    """Count the whole frames; say where the last one ends and whether a piece of another one follows."""
    position = count = end = 0
    while position < len(data):
        header = parse_frame_header(data, position)
        if header is None or not header.continues(first):
            after_tags = skip_tags(data, position)
            if after_tags == position or not continues_at(data, after_tags, first):
                _refuse_frames_after(data, after_tags, broken_at=position)
                break
            position = after_tags
            continue
        if header.bit_rate_index == FREE_FORMAT:
            raise UnsupportedCodecError(
                "MP3 with a free-format bit rate is not read.", extra={"codec": "free format"}
            )
        if position + header.n_bytes > len(data):
            return _Walk(count, end, ends_in_frame=True)
        position += header.n_bytes
        count, end = count + 1, position
        check_duration(count * first.n_samples / first.sample_rate_hz, limits, is_whole=False)
    return _Walk(count, end, ends_in_frame=False)


def _refuse_frames_after(data: bytes, position: int, broken_at: int) -> None:
    """Raise if frames go on behind other bytes; anything else behind the last frame is harmless."""
    for candidate in range(position, min(position + RESYNC_BYTES, len(data))):
        if data[candidate] != 0xFF:
            continue
        header = parse_frame_header(data, candidate)
        if header is not None and continues_at(data, candidate + header.n_bytes, header):
            raise CorruptMediaError(f"The MP3 file is damaged: its frames break off at byte {broken_at}.")
