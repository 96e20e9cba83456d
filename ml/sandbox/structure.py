"""What an upload is, asked of a child: `ml.media.inspect_media` for bytes that nobody has looked at yet.

Conventions: as `ml.media`, whose errors come out as themselves. Needs no decoder and imports none.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeGuard

from ml.media import DEFAULT_LIMITS, MediaInfo, MediaLimits
from ml.media.sniffing import FORMATS
from ml.sandbox.errors import DecoderDiedError
from ml.sandbox.sandbox import Request, Sandbox

TASKS_MODULE = "ml.sandbox.structure_tasks"
# What no checked recording exceeds, whatever the limits are set to.
_LARGEST = 2**31


def inspect(sandbox: Sandbox, data: bytes, limits: MediaLimits = DEFAULT_LIMITS) -> MediaInfo:
    """Check an upload as far as its structure shows.

    Parameters
    ----------
    sandbox : Sandbox
        Of the tasks of this module, or of `ml.sandbox.sound`.
    data : bytes
        The whole file.
    limits : MediaLimits

    Returns
    -------
    MediaInfo

    Raises
    ------
    UnsupportedMediaError, MediaTooLargeError, InvalidMediaError
        As `ml.media.inspect_media`.
    DecoderDiedError, DecoderBusyError, SandboxUnavailableError
        When the child did not answer.
    """
    reply = sandbox.call(Request("inspect", {"limits": asdict(limits)}, data))
    return media_info(reply.value)


def sounds_between(
    sandbox: Sandbox,
    data: bytes,
    start_s: float,
    end_s: float,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> bool:
    """Say whether a note of a MIDI file sounds within a part of it.

    Parameters
    ----------
    sandbox : Sandbox
    data : bytes
        A Standard MIDI File.
    start_s, end_s : float
        The part, in seconds.
    limits : MediaLimits

    Returns
    -------
    bool

    Raises
    ------
    MediaError, SandboxError
        As `inspect`.
    """
    arguments = {"limits": asdict(limits), "start_s": start_s, "end_s": end_s}
    value = sandbox.call(Request("sounds_between", arguments, data)).value
    if not isinstance(value, Mapping) or not isinstance(value.get("sounds"), bool):
        raise nonsense(value)
    return bool(value["sounds"])


def media_info(value: object) -> MediaInfo:
    """What a child says of a recording, if it can be true."""
    if not isinstance(value, Mapping):
        raise nonsense(value)
    media_format, duration_s = value.get("format"), value.get("duration_s")
    rate_hz, channels = value.get("sample_rate_hz"), value.get("channels")
    if media_format not in FORMATS or not _is_positive(duration_s):
        raise nonsense(value)
    if media_format == "midi":
        return MediaInfo("midi", float(duration_s), None, None)
    if not isinstance(rate_hz, int) or not isinstance(channels, int) or min(rate_hz, channels) < 1:
        raise nonsense(value)
    return MediaInfo(media_format, float(duration_s), rate_hz, channels)


def nonsense(value: object) -> DecoderDiedError:
    """The error for a result that no task gives."""
    shown = repr(value)[:100]
    return DecoderDiedError(f"The recording made its decoder answer {shown}.", extra={"cause": "garbled"})


def _is_positive(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LARGEST
