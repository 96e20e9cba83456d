"""Says what an upload is and refuses what its size, its headers or its structure show to be wrong.

Conventions: nothing is decoded, and no decoder written in C sees the bytes: a process that only inspects
cannot be brought down by a damaged file. What only decoding shows (a NaN, a damaged frame) is found in
`decoding`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ml.media.aiff import read_aiff
from ml.media.errors import UnsupportedFormatError
from ml.media.flac import read_flac
from ml.media.limits import DEFAULT_LIMITS, MediaLimits, check_bytes, check_length
from ml.media.midi import parse_midi
from ml.media.mp3 import read_mp3
from ml.media.ogg import read_ogg
from ml.media.sniffing import sniff_format
from ml.media.stream import AudioStream
from ml.media.tags import skip_tags
from ml.media.wav import read_wav

READERS: dict[str, Callable[[bytes, MediaLimits], AudioStream]] = {
    "wav": read_wav,
    "aiff": read_aiff,
    "flac": read_flac,
    "ogg": read_ogg,
    "mp3": read_mp3,
}
# Formats that tags may precede; the decoder is given the file without them.
TAGGED_FORMATS = ("flac", "mp3")


@dataclass(frozen=True)
class MediaInfo:
    """What an upload is: `format` is "wav", "flac", "ogg", "mp3", "aiff" or "midi"; MIDI has no rate or
    channels.
    """

    format: str
    duration_s: float
    sample_rate_hz: int | None
    channels: int | None


def inspect_media(data: bytes, limits: MediaLimits = DEFAULT_LIMITS) -> MediaInfo:
    """Check an upload as far as its structure shows, in well under a second.

    Parameters
    ----------
    data : bytes
        The whole file.
    limits : MediaLimits
        How large it may be.

    Returns
    -------
    MediaInfo
        Its format, length, sample rate and channels, as its structure states them.

    Raises
    ------
    UnsupportedMediaError, MediaTooLargeError, InvalidMediaError
        One subclass per fault; the message names it.
    """
    check_bytes(len(data), limits.max_bytes)
    if sniff_format(data) == "midi":
        return MediaInfo(
            format="midi", duration_s=parse_midi(data, limits).duration_s, sample_rate_hz=None, channels=None
        )
    stream = read_stream(data, limits)
    return MediaInfo(
        format=stream.format,
        duration_s=stream.duration_s,
        sample_rate_hz=stream.sample_rate_hz,
        channels=stream.channels,
    )


def read_stream(data: bytes, limits: MediaLimits) -> AudioStream:
    """Return the checked structure of an audio file; raises as `inspect_media` does, and for MIDI."""
    check_bytes(len(data), limits.max_bytes)
    media_format = sniff_format(data)
    if media_format not in READERS:
        raise UnsupportedFormatError(
            "A MIDI file holds notes and no samples; it has to be rendered, not decoded."
        )
    if media_format in TAGGED_FORMATS:
        data = data[skip_tags(data, 0) :]
    stream = READERS[media_format](data, limits)
    check_length(stream.n_frames, stream.sample_rate_hz, stream.channels, limits)
    return stream
