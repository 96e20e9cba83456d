"""How the two sides speak: a frame is the length of a JSON document, the document, and what it announces.

Conventions: lengths are four bytes, big endian; samples are float32 in the machine's order, for both sides
are on one machine. A request is one frame and the recording's bytes. An answer is any number of frames: of
`kind` "progress", "sound" (`part` and `n_samples` of bare samples follow), and last "result", "error",
"memory" or "fault".
"""

import json
import struct
from typing import Any, Protocol

LENGTH = struct.Struct("!I")
# How a child ended: its exit code, or the negative number of the signal that killed it.
FATE = struct.Struct("!i")
# The notes of the longest MIDI file take about a quarter of this.
MAX_DOCUMENT_BYTES = 16_000_000
# How long the text of a fault may be: a traceback's end.
MAX_FAULT_CHARACTERS = 8_000


class Reader(Protocol):
    """Something that gives as many bytes as it is asked for."""

    def read(self, n_bytes: int, /) -> bytes: ...


def frame(document: dict[str, object]) -> bytes:
    """A document, ready to be sent."""
    body = json.dumps(document).encode()
    return LENGTH.pack(len(body)) + body


def read_frame(stream: Reader) -> dict[str, Any]:
    """The next document.

    Raises
    ------
    ValueError
        When it is no document, or longer than any may be.
    """
    (n_bytes,) = LENGTH.unpack(stream.read(LENGTH.size))
    if n_bytes > MAX_DOCUMENT_BYTES:
        raise ValueError(f"A document of {n_bytes} bytes.")
    try:
        document = json.loads(stream.read(n_bytes))
    except RecursionError as error:
        raise ValueError("A document that is nested too deeply.") from error
    if not isinstance(document, dict):
        raise ValueError(f"A document that is a {type(document).__name__}.")
    return document
