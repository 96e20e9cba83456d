"""Recordings as clients send them: bytes with a name that is fit to be shown, and nothing to be trusted."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

from ml.media import MediaInfo
from worker.questions import JobInput

_LONGEST_NAME = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Upload:
    """A recording as a client sends it."""

    filename: str | None
    data: bytes

    @cached_property
    def sha256(self) -> str:
        """The hash of its bytes."""
        return hashlib.sha256(self.data).hexdigest()


def display_name(filename: str | None) -> str:
    """A client's file name made fit to be shown. It is never used as a path."""
    base = re.split(r"[/\\]", filename or "")[-1]
    return _UNPRINTABLE.sub("", base)[:_LONGEST_NAME] or "upload"


def described(upload: Upload, info: MediaInfo) -> JobInput:
    """A recording as its job tells of it."""
    return JobInput(
        filename=display_name(upload.filename),
        sha256=upload.sha256,
        format=info.format,
        duration_s=info.duration_s,
        sample_rate_hz=info.sample_rate_hz,
        channels=info.channels,
    )
