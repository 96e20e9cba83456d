"""Reads the structure of native FLAC files: the stream information, and the last frame where that is silent.

Conventions: FLAC is big endian. A total of 0 samples means that the encoder streamed and did not know; then
the number in the last frame's header gives the length, so that an hour of silence is refused before it is
decoded.
Source: RFC 9639, sections 8 (metadata) and 9.1 (frame header).
"""

from dataclasses import dataclass

from ml.media.errors import CorruptMediaError, NoSamplesError, TruncatedMediaError
from ml.media.limits import MediaLimits, check_rate_and_channels
from ml.media.stream import AudioStream

BLOCK_HEADER_BYTES, STREAMINFO_BYTES = 4, 34
MAX_METADATA_BLOCKS = 10_000
# Sync code and blocking strategy: frames numbered by frame, or by sample.
FIXED_SYNC, VARIABLE_SYNC = b"\xff\xf8", b"\xff\xf9"
MAX_FRAME_HEADER_BYTES = 16
# The pattern of a frame's start turns up by chance in coded sound; this many false ones bound the search.
MAX_FRAME_CANDIDATES = 20_000
CRC8_POLYNOMIAL = 0x07


@dataclass(frozen=True)
class _StreamInfo:
    sample_rate_hz: int
    channels: int
    total_frames: int
    max_block_frames: int


def read_flac(data: bytes, limits: MediaLimits) -> AudioStream:
    """Return what a FLAC file says about its sound; `data` begins with "fLaC".

    Raises
    ------
    CorruptMediaError, TruncatedMediaError, NoSamplesError, SampleRateError, ChannelCountError
    """
    info, audio_start = _read_metadata(data)
    check_rate_and_channels(info.sample_rate_hz, info.channels, limits)
    if audio_start == len(data):
        if info.total_frames:
            raise TruncatedMediaError(
                f"The FLAC file is cut off: its header promises {info.total_frames} samples, none are there."
            )
        raise NoSamplesError("The FLAC file holds 0 samples.")
    return AudioStream(
        format="flac",
        sample_rate_hz=info.sample_rate_hz,
        channels=info.channels,
        n_frames=info.total_frames or _frames_from_last_header(data, audio_start, info),
        payload=data,
    )


def _read_metadata(data: bytes) -> tuple[_StreamInfo, int]:
    """Return the stream information and where the metadata blocks end."""
    info: _StreamInfo | None = None
    position = len(b"fLaC")
    for index in range(MAX_METADATA_BLOCKS):
        start = position + BLOCK_HEADER_BYTES
        header = data[position:start]
        size = int.from_bytes(header[1:], "big")
        if len(header) < BLOCK_HEADER_BYTES or start + size > len(data):
            raise TruncatedMediaError(
                f"The FLAC file is cut off in its metadata: {len(data)} bytes are there, "
                f"at least {start + size} are promised."
            )
        is_last, kind = header[0] >> 7, header[0] & 0x7F
        if index == 0:
            if kind != 0 or size != STREAMINFO_BYTES:
                raise CorruptMediaError(
                    f"The FLAC file begins with a metadata block of type {kind} and {size} bytes "
                    f"instead of its stream information of {STREAMINFO_BYTES} bytes."
                )
            info = _parse_streaminfo(data[start : start + size])
        position = start + size
        if is_last and info is not None:
            return info, position
    raise CorruptMediaError(f"The FLAC file has more than {MAX_METADATA_BLOCKS} metadata blocks.")


def _parse_streaminfo(block: bytes) -> _StreamInfo:
    packed = int.from_bytes(
        block[10:18], "big"
    )  # 20 bits rate, 3 channels - 1, 5 bits per sample - 1, 36 total
    return _StreamInfo(
        sample_rate_hz=packed >> 44,
        channels=(packed >> 41 & 0b111) + 1,
        total_frames=packed & (1 << 36) - 1,
        max_block_frames=int.from_bytes(block[2:4], "big"),
    )


def _frames_from_last_header(data: bytes, audio_start: int, info: _StreamInfo) -> int:
    """Return the length in sample instants that the last frame's header implies."""
    sync = data[audio_start : audio_start + 2]
    if sync not in (FIXED_SYNC, VARIABLE_SYNC):
        raise CorruptMediaError(f"The FLAC file has no frame after its metadata, at byte {audio_start}.")
    position = len(data)
    for _ in range(MAX_FRAME_CANDIDATES):
        position = data.rfind(sync, audio_start, position + 1)
        if position < 0:
            break
        header = _parse_frame_header(data[position : position + MAX_FRAME_HEADER_BYTES])
        if header is not None:
            number, block_frames = header
            return (
                number + block_frames
                if sync == VARIABLE_SYNC
                else number * info.max_block_frames + block_frames
            )
    raise CorruptMediaError("The FLAC file states no length and has no readable frame.")


def _parse_frame_header(header: bytes) -> tuple[int, int] | None:
    """Return the coded number and the block size of a frame's header, or None if it is none after all."""
    if (
        len(header) < 6
        or header[2] >> 4 == 0
        or header[2] & 0xF == 0xF
        or header[3] >> 4 > 10
        or header[3] & 1
    ):
        return None
    # The number is coded as UTF-8 would, with up to seven bytes: as many leading ones as there are bytes.
    leading_ones = 8 - (header[4] ^ 0xFF).bit_length()
    n_bytes = max(1, leading_ones)
    if leading_ones in (1, 8):
        return None
    number = header[4] & 0xFF >> leading_ones + 1 if leading_ones else header[4]
    for byte in header[5 : 4 + n_bytes]:
        number = number << 6 | byte & 0x3F
    end = 4 + n_bytes
    size_code, rate_code = header[2] >> 4, header[2] & 0xF
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    crc_at = end + size_bytes + rate_bytes
    if crc_at >= len(header) or _crc8(header[:crc_at]) != header[crc_at]:
        return None
    if size_bytes:
        return number, int.from_bytes(header[end : end + size_bytes], "big") + 1
    if size_code == 1:
        return number, 192
    return number, 576 << size_code - 2 if size_code <= 5 else 256 << size_code - 8


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ CRC8_POLYNOMIAL if crc & 0x80 else crc << 1
        crc &= 0xFF
    return crc
