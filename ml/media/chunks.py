"""Walks the chunks of RIFF, IFF and MIDI files: a four-letter name, a size, that many bytes.

Conventions: positions are byte offsets from the start of the file; sizes are as declared and may reach
beyond the end, which is for the caller to judge. RIFF (WAV) is little endian, IFF (AIFF) and MIDI big
endian. RIFF and IFF pad odd sizes by one byte, MIDI does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ml.media.errors import CorruptMediaError, TruncatedMediaError

CHUNK_HEADER_BYTES = 8
# Real files have a dozen chunks; the bound keeps a file made of empty ones from costing seconds.
MAX_CHUNKS = 10_000


@dataclass(frozen=True)
class Chunk:
    """One chunk: its name, where its content starts and how long it claims to be."""

    name: bytes
    start: int
    size: int

    @property
    def end(self) -> int:
        """Where the content ends, if the declared size is true."""
        return self.start + self.size


def walk_chunks(
    data: bytes, start: int, byte_order: Literal["little", "big"], *, padded: bool = True
) -> Iterator[Chunk]:
    """Yield the chunks from byte `start` until fewer bytes are left than a chunk's header takes."""
    position = start
    for _ in range(MAX_CHUNKS):
        if position + CHUNK_HEADER_BYTES > len(data):
            return
        content = position + CHUNK_HEADER_BYTES
        size = int.from_bytes(data[position + 4 : content], byte_order)
        yield Chunk(name=data[position : position + 4], start=content, size=size)
        position = content + size + (size % 2 if padded else 0)
    raise CorruptMediaError(f"The file has more than {MAX_CHUNKS} chunks.")


def chunk_content(data: bytes, chunk: Chunk, min_bytes: int, container: str) -> bytes:
    """Return all of a chunk's content, which must be there and have at least `min_bytes`."""
    name = printable(chunk.name)
    if chunk.size < min_bytes:
        raise CorruptMediaError(
            f"The {name} chunk of the {container} file has {chunk.size} bytes; it needs at least {min_bytes}."
        )
    if chunk.end > len(data):
        raise TruncatedMediaError(
            f"The {container} file is cut off: its {name} chunk has "
            f"{len(data) - chunk.start} of {chunk.size} bytes."
        )
    return data[chunk.start : chunk.end]


def printable(name: bytes) -> str:
    """Return a chunk's or codec's name for a message, whatever bytes it is made of."""
    text = name.decode("ascii", "replace").strip()
    return f"'{text}'" if text.isprintable() and text.isascii() and text else f"0x{name.hex()}"
