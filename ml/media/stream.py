"""What the structure of an audio file says about the sound in it, and where that sound lies.

Conventions: the readers of `wav`, `aiff`, `flac`, `ogg` and `mp3` return an `AudioStream` without decoding
anything and without handing a byte to a decoder written in C. Numbers are what the file claims; the readers
have checked that rate and channels are within the limits, not yet the length.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SampleEncoding:
    """How plain samples lie in memory: libsndfile's names for the subtype (`PCM_16`) and the byte order
    (`LITTLE`).
    """

    subtype: str
    byte_order: str


@dataclass(frozen=True)
class AudioStream:
    """A sound inside a file, not decoded yet.

    Attributes
    ----------
    format : str
        "wav", "aiff", "flac", "ogg" or "mp3".
    sample_rate_hz, channels : int
        As the header states them.
    n_frames : int
        Length in sample instants: exact for plain samples and MP3, claimed by the header otherwise.
    payload : bytes or memoryview
        What the decoder is given: the bare samples where `encoding` is set, else a whole file.
    encoding : SampleEncoding or None
        Set where the samples are plain and need no codec.
    """

    format: str
    sample_rate_hz: int
    channels: int
    n_frames: int
    payload: bytes | memoryview
    encoding: SampleEncoding | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_frames / self.sample_rate_hz
