"""Reads the structure of Ogg files with one Vorbis or Opus stream: every page is there and undamaged.

Conventions: Ogg is little endian. A page's granule position counts sample instants up to its end, for Opus
always at 48 kHz and including the encoder's pre-skip; -1 (all ones) means that no packet ends on the page.
The decoder drops a damaged page without a word and stops early at a missing one, therefore the pages are
checked here.
Sources: RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), Vorbis I specification, section 4.2.2.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from ml.media.errors import (
    CorruptMediaError,
    TruncatedMediaError,
    UnsupportedCodecError,
    UnsupportedFormatError,
)
from ml.media.limits import MediaLimits, check_rate_and_channels
from ml.media.stream import AudioStream

PAGE_HEADER_BYTES = 27
LAST_PAGE_FLAG = 0x04
NO_GRANULE = -1
# Ten minutes of pages of 20 ms, as live streams have them, are 30,000; the bound keeps tiny pages from
# costing seconds.
MAX_PAGES = 100_000
VORBIS_MAGIC, OPUS_MAGIC = b"\x01vorbis", b"OpusHead"
VORBIS_HEADER_BYTES, OPUS_HEADER_BYTES = 30, 19
OPUS_RATE_HZ, OPUS_RATE_OFFSET = 48_000, 12
OTHER_CODECS = {
    b"\x7fFLAC": "FLAC in Ogg",
    b"Speex   ": "Speex",
    b"\x80theora": "Theora video",
    b"fishead": "Skeleton",
}
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class _Page:
    start: int
    body_start: int
    is_last: bool
    granule: int
    serial: int
    body: bytes


def read_ogg(data: bytes, limits: MediaLimits) -> AudioStream:
    """Return what an Ogg file says about its sound, after checking all of its pages.

    Raises
    ------
    UnsupportedFormatError, UnsupportedCodecError, CorruptMediaError, TruncatedMediaError, SampleRateError,
    ChannelCountError
    """
    pages = _walk_pages(data)
    first = next(pages)
    sample_rate_hz, channels, skipped = _parse_identification(first.body)
    check_rate_and_channels(sample_rate_hz, channels, limits)
    granule = 0
    last = first
    for page in pages:
        if page.serial != first.serial:
            raise UnsupportedFormatError(
                "The Ogg file holds several streams; send one with a single stream of sound."
            )
        granule = granule if page.granule == NO_GRANULE else page.granule
        last = page
    if not last.is_last:
        raise TruncatedMediaError(
            f"The Ogg file is cut off: its last page, at byte {last.start}, is not marked last."
        )
    if granule < 0:
        raise CorruptMediaError(f"The Ogg file ends at the impossible sample {granule}.")
    return AudioStream(
        format="ogg",
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        n_frames=max(0, granule - skipped),
        payload=_at_full_rate(data, first) if first.body.startswith(OPUS_MAGIC) else data,
    )


def _walk_pages(data: bytes) -> Iterator[_Page]:
    position = 0
    for _ in range(MAX_PAGES):
        if position == len(data):
            return
        header = data[position : position + PAGE_HEADER_BYTES]
        if header[:4] != b"OggS"[: len(header)]:
            raise CorruptMediaError(f"The Ogg file has something else than a page at byte {position}.")
        n_segments = header[-1] if len(header) == PAGE_HEADER_BYTES else 0
        body_start = position + PAGE_HEADER_BYTES + n_segments
        end = body_start + sum(data[position + PAGE_HEADER_BYTES : body_start])
        if len(header) < PAGE_HEADER_BYTES or end > len(data):
            raise TruncatedMediaError(f"The Ogg file is cut off within its last page, at byte {len(data)}.")
        flags, granule, serial, checksum = struct.unpack_from("<BqI4xI", header, 5)
        if _crc(data[position:end]) != checksum:
            raise CorruptMediaError(f"The Ogg page at byte {position} is damaged: its checksum is wrong.")
        yield _Page(position, body_start, bool(flags & LAST_PAGE_FLAG), granule, serial, data[body_start:end])
        position = end
    raise CorruptMediaError(f"The Ogg file has more than {MAX_PAGES} pages.")


def _parse_identification(packet: bytes) -> tuple[int, int, int]:
    """Return sample rate, channels and how many samples to skip from a stream's first packet."""
    if packet.startswith(VORBIS_MAGIC) and len(packet) >= VORBIS_HEADER_BYTES:
        channels, sample_rate_hz = struct.unpack_from("<BI", packet, 11)
        return sample_rate_hz, channels, 0
    if packet.startswith(OPUS_MAGIC) and len(packet) >= OPUS_HEADER_BYTES:
        channels, pre_skip = struct.unpack_from("<BH", packet, 9)
        return OPUS_RATE_HZ, channels, pre_skip
    codec = next(
        (name for magic, name in OTHER_CODECS.items() if packet.startswith(magic)), "an unknown codec"
    )
    raise UnsupportedCodecError(f"Ogg with {codec} is not read; send Vorbis or Opus.", extra={"codec": codec})


def _at_full_rate(data: bytes, first: _Page) -> bytes:
    """Return the file with 48 kHz as the rate before encoding, which is only a note in an Opus header.

    libsndfile decodes at that rate or the next one above; a file that leaves it out would get 8 kHz.
    """
    end = first.body_start + len(first.body)
    rate_at = first.body_start + OPUS_RATE_OFFSET
    page = data[:rate_at] + struct.pack("<I", OPUS_RATE_HZ) + data[rate_at + 4 : end]
    return page[:22] + struct.pack("<I", _crc(page)) + page[26:] + data[end:]


def _crc(page: bytes) -> int:
    """Return Ogg's checksum of a page, in which the checksum itself counts as zero.

    It is zlib's polynomial with the bits of every byte and of the result the other way round, no initial
    value and no final complement; so zlib can compute it.
    """
    page = page[:22] + bytes(4) + page[26:]
    crc = zlib.crc32(page.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(REVERSED_BITS), "big")
