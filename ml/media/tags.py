"""Skips the tags that programs put before, between and behind the sound: ID3v2, ID3v1, APE and padding.

Conventions: positions are byte offsets. Nothing inside a tag is read but its length.
"""

import re

ID3V2_HEADER_BYTES = ID3V2_FOOTER_BYTES = 10
ID3V2_FOOTER_FLAG = 0x10
ID3V1_BYTES = 128
APE_HEADER_BYTES = 32
APE_IS_HEADER_FLAG = 1 << 29
# Real files have three or four in a row; the bound keeps a file made of empty ones from costing seconds.
MAX_TAGS_IN_A_ROW = 16
ZEROS = re.compile(rb"\0+")


def skip_tags(data: bytes, position: int) -> int:
    """Return where the tags and zero bytes at `position` end: `position` itself if there are none."""
    for _ in range(MAX_TAGS_IN_A_ROW):
        end = min(_end_of_tag(data, position), len(data))
        if end == position:
            break
        position = end
    return position


def _end_of_tag(data: bytes, position: int) -> int:
    zeros = ZEROS.match(data, position)
    if zeros is not None:
        return zeros.end()
    head = data[position : position + APE_HEADER_BYTES]
    if head.startswith(b"ID3") and len(head) >= ID3V2_HEADER_BYTES and max(head[6:10]) < 0x80:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        footer = ID3V2_FOOTER_BYTES if head[5] & ID3V2_FOOTER_FLAG else 0
        return position + ID3V2_HEADER_BYTES + size + footer
    if head.startswith(b"TAG"):
        return position + ID3V1_BYTES
    if head.startswith(b"APETAGEX") and len(head) == APE_HEADER_BYTES:
        size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
        return position + size + (APE_HEADER_BYTES if flags & APE_IS_HEADER_FLAG else 0)
    return position
