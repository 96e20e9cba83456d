"""What can be wrong with an uploaded recording: one class and one code per fault.

Conventions: three families say what kind of fault it is. `UnsupportedMediaError`: a sound file may be fine,
but it is of a kind that is not read here. `MediaTooLargeError`: it is of a known kind, but more than the
limits allow. `InvalidMediaError`: it is of a known kind, but broken or meaningless. `extra` carries the
offending value and the limit wherever there is a limit.
"""

from typing import ClassVar

from ml.errors import TimbrescopeError


class MediaError(TimbrescopeError):
    """Base of everything that can be wrong with an uploaded recording."""

    code: ClassVar[str] = "media"


class UnsupportedMediaError(MediaError):
    """The bytes are of a kind that is not read here."""

    code: ClassVar[str] = "unsupported-media"


class UnknownFormatError(UnsupportedMediaError):
    """The bytes begin like no audio or MIDI file that is known."""

    code: ClassVar[str] = "unknown-format"


class UnsupportedFormatError(UnsupportedMediaError):
    """The container is recognised, and is not one of those that are read."""

    code: ClassVar[str] = "unsupported-format"


class UnsupportedCodecError(UnsupportedMediaError):
    """The container is read, but not with this coding of its samples."""

    code: ClassVar[str] = "unsupported-codec"


class UnsupportedMidiError(UnsupportedMediaError):
    """A valid Standard MIDI File of a kind that cannot be played as one piece with one tempo map."""

    code: ClassVar[str] = "unsupported-midi"


class MediaTooLargeError(MediaError):
    """The recording is larger than the limits allow."""

    code: ClassVar[str] = "media-too-large"


class TooManyBytesError(MediaTooLargeError):
    """The file has more bytes than the limit."""

    code: ClassVar[str] = "too-many-bytes"


class TooLongError(MediaTooLargeError):
    """The recording lasts longer than the limit."""

    code: ClassVar[str] = "too-long"


class TooManySamplesError(MediaTooLargeError):
    """Length times channels is more than the limit, although the length alone is not."""

    code: ClassVar[str] = "too-many-samples"


class TooManyEventsError(MediaTooLargeError):
    """The MIDI file has more events than the limit."""

    code: ClassVar[str] = "too-many-events"


class TooManyTracksError(MediaTooLargeError):
    """The MIDI file has more tracks than the limit."""

    code: ClassVar[str] = "too-many-tracks"


class TooManyNotesError(MediaTooLargeError):
    """The MIDI file holds more notes at once than the limit."""

    code: ClassVar[str] = "too-many-notes"


class InvalidMediaError(MediaError):
    """The recording is of a known kind, but broken or meaningless."""

    code: ClassVar[str] = "invalid-media"


class EmptyFileError(InvalidMediaError):
    """There are no bytes at all."""

    code: ClassVar[str] = "empty-file"


class NoSamplesError(InvalidMediaError):
    """The file is well formed and holds no sound."""

    code: ClassVar[str] = "no-samples"


class TruncatedMediaError(InvalidMediaError):
    """The file ends before what it promises."""

    code: ClassVar[str] = "truncated"


class CorruptMediaError(InvalidMediaError):
    """The file contradicts itself or its format."""

    code: ClassVar[str] = "corrupt"


class SampleRateError(InvalidMediaError):
    """The sample rate lies outside the range that is read."""

    code: ClassVar[str] = "sample-rate-out-of-range"


class ChannelCountError(InvalidMediaError):
    """There are no channels, or more than the limit."""

    code: ClassVar[str] = "channel-count-out-of-range"


class NonFiniteSamplesError(InvalidMediaError):
    """A sample is NaN or infinite."""

    code: ClassVar[str] = "non-finite-samples"


class ExcessiveLevelError(InvalidMediaError):
    """A sample is finite, but so large that its power would overflow later on."""

    code: ClassVar[str] = "excessive-level"


class InvalidMidiError(InvalidMediaError):
    """The MIDI file contradicts its format."""

    code: ClassVar[str] = "invalid-midi"


class TruncatedMidiError(InvalidMidiError):
    """The MIDI file ends before what it promises."""

    code: ClassVar[str] = "truncated-midi"


class NoNotesError(InvalidMidiError):
    """The MIDI file is well formed and holds no note that sounds."""

    code: ClassVar[str] = "no-notes"
