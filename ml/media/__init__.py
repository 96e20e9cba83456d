"""Recordings as they arrive: recognised by their bytes, checked against limits, decoded; audio and MIDI.

Conventions: files are `bytes`, never paths, and their names are never asked for. `inspect_media` looks at
structure only and needs no decoder; `decode_audio` and `parse_midi` do the work, within the same limits.
Every fault is a `MediaError` whose class, code and sentence name it. What decodes is imported, with numpy,
when it is first asked for: the API looks at structure alone.
"""

from typing import TYPE_CHECKING

from ml.media.errors import (
    ChannelCountError,
    CorruptMediaError,
    EmptyFileError,
    ExcessiveLevelError,
    InvalidMediaError,
    InvalidMidiError,
    MediaError,
    MediaTooLargeError,
    NonFiniteSamplesError,
    NoNotesError,
    NoSamplesError,
    SampleRateError,
    TooLongError,
    TooManyBytesError,
    TooManyEventsError,
    TooManyNotesError,
    TooManySamplesError,
    TooManyTracksError,
    TruncatedMediaError,
    TruncatedMidiError,
    UnknownFormatError,
    UnsupportedCodecError,
    UnsupportedFormatError,
    UnsupportedMediaError,
    UnsupportedMidiError,
)
from ml.media.inspection import MediaInfo, inspect_media
from ml.media.limits import DEFAULT_LIMITS, MediaLimits
from ml.media.midi import MidiEvent, MidiScore, parse_midi
from ml.media.sniffing import sniff_format

if TYPE_CHECKING:
    from ml.media.decoding import decode_audio

__all__ = [
    "DEFAULT_LIMITS",
    "ChannelCountError",
    "CorruptMediaError",
    "EmptyFileError",
    "ExcessiveLevelError",
    "InvalidMediaError",
    "InvalidMidiError",
    "MediaError",
    "MediaInfo",
    "MediaLimits",
    "MediaTooLargeError",
    "MidiEvent",
    "MidiScore",
    "NoNotesError",
    "NoSamplesError",
    "NonFiniteSamplesError",
    "SampleRateError",
    "TooLongError",
    "TooManyBytesError",
    "TooManyEventsError",
    "TooManyNotesError",
    "TooManySamplesError",
    "TooManyTracksError",
    "TruncatedMediaError",
    "TruncatedMidiError",
    "UnknownFormatError",
    "UnsupportedCodecError",
    "UnsupportedFormatError",
    "UnsupportedMediaError",
    "UnsupportedMidiError",
    "decode_audio",
    "inspect_media",
    "parse_midi",
    "sniff_format",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name != "decode_audio":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ml.media.decoding import decode_audio

        return decode_audio
