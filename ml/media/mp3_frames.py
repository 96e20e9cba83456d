"""The 4-byte header that begins every frame of an MP3 file, and the information frame that may stand first.

Conventions: positions are byte offsets; lengths of frames in bytes, of their sound in sample instants. The
first frame may hold no sound but a tag, "Xing" or "Info", with the number of frames that follow and, from
LAME and its kin, how many samples the encoder put before and behind the sound; or the older "VBRI" with the
number alone.
Sources: ISO/IEC 11172-3, 2.4.1.3 (header); Gabriel Bouvigne, "MP3 Info Tag revision 1".
"""

from dataclasses import dataclass, replace

HEADER_BYTES = 4
MPEG1, RESERVED_VERSION = 3, 1
LAYER3 = 1
MONO = 3
BIT_RATES_KBPS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RESERVED_BIT_RATE, RESERVED_RATE = 15, 3
SAMPLE_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
FREE_FORMAT = 0
# The bit rate index of a frame that is written here: long enough for the tag at every sample rate.
INFO_BIT_RATE_INDEX = 9
# What follows the tag's name and flags, in this order, each where its flag is set: (flag, bytes).
FRAMES_FIELD = (1, 4)
INFO_FIELDS = (FRAMES_FIELD, (2, 4), (4, 100), (8, 4))
# Behind them: the encoder's name and settings, then 12 bits each of samples before and behind the sound.
PADDING_OFFSET, PADDING_BYTES = 21, 3
VBRI_OFFSET, VBRI_COUNT_OFFSET = 36, 14
# What the decoder drops at the start of a file that does not state its encoder's delay: its own delay.
DECODER_DELAY = 529


@dataclass(frozen=True)
class FrameHeader:
    """The fields of a Layer III frame header that matter here."""

    version: int
    bit_rate_index: int
    sample_rate_hz: int
    padding: int
    is_mono: bool

    @property
    def n_samples(self) -> int:
        """Sample instants in the frame."""
        return 1152 if self.version == MPEG1 else 576

    @property
    def n_bytes(self) -> int:
        """Length of the frame, header included."""
        bit_rate = 1000 * BIT_RATES_KBPS[self.version == MPEG1][self.bit_rate_index]
        return self.n_samples // 8 * bit_rate // self.sample_rate_hz + self.padding

    @property
    def info_offset(self) -> int:
        """Where in the frame a tag stands: behind the header and the side information."""
        if self.version == MPEG1:
            return HEADER_BYTES + (17 if self.is_mono else 32)
        return HEADER_BYTES + (9 if self.is_mono else 17)

    def continues(self, other: "FrameHeader") -> bool:
        """Say whether both belong to one stream."""
        return replace(self, bit_rate_index=1, padding=0) == replace(other, bit_rate_index=1, padding=0)


@dataclass(frozen=True)
class InfoFrame:
    """How many frames follow an information frame, and how many samples are padding; None where unstated.

    `is_readable` says whether the decoder understands this kind, too.
    """

    n_frames: int | None
    n_padding_samples: int | None
    is_readable: bool


def parse_frame_header(data: bytes, position: int) -> FrameHeader | None:
    """Return the header of a Layer III frame, or None if there is none at this position."""
    word = int.from_bytes(data[position : position + HEADER_BYTES], "big")
    version, layer = word >> 19 & 3, word >> 17 & 3
    bit_rate_index, rate_index = word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or version == RESERVED_VERSION or layer != LAYER3:
        return None
    if bit_rate_index == RESERVED_BIT_RATE or rate_index == RESERVED_RATE:
        return None
    return FrameHeader(
        version=version,
        bit_rate_index=bit_rate_index,
        sample_rate_hz=SAMPLE_RATES_HZ[version][rate_index],
        padding=word >> 9 & 1,
        is_mono=word >> 6 & 3 == MONO,
    )


def begins_with_frames(data: bytes, position: int) -> bool:
    """Say whether a frame stands here that another one follows, or nothing at all."""
    header = parse_frame_header(data, position)
    if header is None:
        return False
    following = position + header.n_bytes
    return (
        header.bit_rate_index == FREE_FORMAT
        or following >= len(data)
        or continues_at(data, following, header)
    )


def continues_at(data: bytes, position: int, first: FrameHeader) -> bool:
    """Say whether a frame of the same stream as `first` stands here."""
    header = parse_frame_header(data, position)
    return header is not None and header.continues(first)


def parse_info_frame(data: bytes, header: FrameHeader) -> InfoFrame | None:
    """Return what the first frame states if it is an information frame, or None if it holds sound."""
    frame = data[: header.n_bytes]
    start = header.info_offset
    if frame[start : start + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(frame[start + 4 : start + 8], "big")
        n_frames = int.from_bytes(frame[start + 8 : start + 12], "big") if flags & FRAMES_FIELD[0] else None
        end = start + 8 + sum(size for flag, size in INFO_FIELDS if flags & flag)
        padding = frame[end + PADDING_OFFSET : end + PADDING_OFFSET + PADDING_BYTES]
        packed = int.from_bytes(padding, "big")
        is_stated = len(padding) == PADDING_BYTES and packed > 0
        n_padding_samples = (packed >> 12) + (packed & 0xFFF) if is_stated else None
        return InfoFrame(n_frames, n_padding_samples, is_readable=True)
    if frame[VBRI_OFFSET : VBRI_OFFSET + 4] == b"VBRI":
        count_at = VBRI_OFFSET + VBRI_COUNT_OFFSET
        n_frames = int.from_bytes(frame[count_at : count_at + 4], "big")
        return InfoFrame(n_frames, None, is_readable=False)
    return None


def write_info_frame(data: bytes, header: FrameHeader, n_frames: int) -> bytes:
    """Return an information frame that states the number of frames of the stream that `data` begins with."""
    head = bytearray(data[:HEADER_BYTES])
    head[1] |= 1  # no checksum follows
    head[2] = INFO_BIT_RATE_INDEX << 4 | head[2] & 0b1100  # the sample rate stays; no padding
    n_bytes = replace(header, bit_rate_index=INFO_BIT_RATE_INDEX, padding=0).n_bytes
    tag = b"Info" + FRAMES_FIELD[0].to_bytes(4, "big") + n_frames.to_bytes(4, "big")
    return (bytes(head).ljust(header.info_offset, b"\0") + tag).ljust(n_bytes, b"\0")
