"""Parts of files (RFC 9110, 13.1.5 and 14): the `Range` and `If-Range` headers.

Conventions: one part at a time. Who asks for several gets the whole file, as the RFC allows, and so does who
asks in other units or in words that are none; only a part that begins beyond the end is refused.
"""

import re
from dataclasses import dataclass

from worker.request_errors import RangeNotSatisfiableError

UNIT = "bytes"
_ONE_PART = re.compile(r"bytes=\s*([0-9]{0,19})-([0-9]{0,19})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """The bytes of a file from `start` on and before `end`."""

    start: int
    end: int

    @property
    def n_bytes(self) -> int:
        """How long it is."""
        return self.end - self.start

    def content_range(self, size_bytes: int) -> str:
        """As the header of the same name says it."""
        return f"{UNIT} {self.start}-{self.end - 1}/{size_bytes}"


def beyond(size_bytes: int) -> str:
    """What the `Content-Range` header says to who asked for what lies beyond the end."""
    return f"{UNIT} */{size_bytes}"


def part_wanted(range_: str | None, if_range: str | None, etag: str, size_bytes: int) -> Part | None:
    """The part of a file of this size that the headers ask for; None for all of it.

    Raises
    ------
    RangeNotSatisfiableError
        When there is nothing at all where the part should be.
    """
    # Compared strongly; a date never matches, because no file here is known by its date.
    if range_ is None or (if_range is not None and if_range.strip() != etag):
        return None
    found = _ONE_PART.fullmatch(range_)
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return None
    if first and last and int(last) < int(first):
        return None
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    if start >= end:
        raise RangeNotSatisfiableError(
            f"The file is {size_bytes} bytes long; there is nothing at {range_.strip()!r}.",
            extra={"size_bytes": size_bytes},
        )
    return Part(start, end)
