"""How large a recording may be, and the checks of its shape that need nothing but a header.

Conventions: rates in Hz, durations in seconds, `n_frames` counts sample instants, `n_frames * channels`
samples. Every check names the value and the limit.
"""

from dataclasses import dataclass

from ml.media.errors import (
    ChannelCountError,
    NoSamplesError,
    SampleRateError,
    TooLongError,
    TooManyBytesError,
    TooManySamplesError,
)


@dataclass(frozen=True)
class MediaLimits:
    """The bounds of an upload; whatever lies inside is decoded in bounded time and memory.

    `max_samples` lets any stereo recording within the other limits through and keeps many channels at a high
    rate out. `max_midi_bytes` is twice what `max_midi_events` events need; the rest is for texts and SysEx.
    """

    max_bytes: int = 50_000_000
    max_duration_s: float = 600.0
    min_rate_hz: int = 8_000
    max_rate_hz: int = 192_000
    max_channels: int = 32
    max_samples: int = 2 * 192_000 * 600
    max_midi_bytes: int = 500_000
    max_midi_events: int = 50_000
    max_midi_tracks: int = 256
    max_midi_notes_at_once: int = 256


DEFAULT_LIMITS = MediaLimits()


def check_bytes(n_bytes: int, max_bytes: int) -> None:
    """Refuse more than `max_bytes`."""
    if n_bytes > max_bytes:
        raise TooManyBytesError(
            f"The file has {n_bytes} bytes; the limit is {max_bytes}.",
            extra={"n_bytes": n_bytes, "max_bytes": max_bytes},
        )


def check_rate_and_channels(sample_rate_hz: int, channels: int, limits: MediaLimits) -> None:
    """Refuse a sample rate or a channel count outside the limits."""
    if not limits.min_rate_hz <= sample_rate_hz <= limits.max_rate_hz:
        raise SampleRateError(
            f"Sample rate {sample_rate_hz} Hz is outside {limits.min_rate_hz}-{limits.max_rate_hz} Hz.",
            extra={
                "sample_rate_hz": sample_rate_hz,
                "min_rate_hz": limits.min_rate_hz,
                "max_rate_hz": limits.max_rate_hz,
            },
        )
    if not 1 <= channels <= limits.max_channels:
        raise ChannelCountError(
            f"{channels} channels are outside 1-{limits.max_channels}.",
            extra={"channels": channels, "max_channels": limits.max_channels},
        )


def check_length(n_frames: int, sample_rate_hz: int, channels: int, limits: MediaLimits) -> None:
    """Refuse no sound at all, more seconds than the limit, or more samples than the limit."""
    if n_frames < 1:
        raise NoSamplesError("The file holds 0 samples.")
    check_duration(n_frames / sample_rate_hz, limits)
    if n_frames * channels > limits.max_samples:
        raise TooManySamplesError(
            f"{n_frames} samples in each of {channels} channels are {n_frames * channels} in all; "
            f"the limit is {limits.max_samples}.",
            extra={"n_samples": n_frames * channels, "max_samples": limits.max_samples},
        )


def check_duration(duration_s: float, limits: MediaLimits, *, is_whole: bool = True) -> None:
    """Refuse more seconds than the limit; `is_whole` says whether this is all, or what was counted so far."""
    if duration_s > limits.max_duration_s:
        lasts = "lasts" if is_whole else "lasts at least"
        raise TooLongError(
            f"The recording {lasts} {duration_s:.3f} s; the limit is {limits.max_duration_s:g} s.",
            extra={"duration_s": duration_s, "max_duration_s": limits.max_duration_s},
        )
