"""WAV files of one channel: samples as they are, or in 16 bits.

Source: Microsoft's *New Multimedia Data Types and Data Techniques* (1994), on WAVE: the format chunk, and the
fact chunk of what is not PCM. The same sound gives the same bytes: no time of day is written.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ml.recording import Recording

_PCM, _FLOAT = 1, 3  # format tags
_ONE_CHANNEL = 1


def float_wav(recording: Recording) -> bytes:
    """A recording as 32-bit float WAV: every sample as it is."""
    samples = np.ascontiguousarray(recording.samples, dtype="<f4")
    format_chunk = _format(_FLOAT, recording.sample_rate_hz, samples.itemsize) + b"\0\0"  # no extension
    fact = struct.pack("<I", len(samples))
    return _wav((b"fmt ", format_chunk), (b"fact", fact), (b"data", samples.tobytes()))


def pcm_wav(recording: Recording) -> bytes:
    """A recording as 16-bit WAV: half the size, and nobody hears the difference."""
    full_scale: NDArray[np.float32] = np.clip(recording.samples, -1.0, 1.0)
    full_scale *= np.float32(32_767.0)
    samples = np.rint(full_scale, out=full_scale).astype("<i2")
    format_chunk = _format(_PCM, recording.sample_rate_hz, samples.itemsize)
    return _wav((b"fmt ", format_chunk), (b"data", samples.tobytes()))


def _format(tag: int, sample_rate_hz: int, sample_bytes: int) -> bytes:
    return struct.pack(
        "<2H2I2H",
        *(tag, _ONE_CHANNEL, sample_rate_hz, sample_rate_hz * sample_bytes, sample_bytes, 8 * sample_bytes),
    )


def _wav(*chunks: tuple[bytes, bytes]) -> bytes:
    """Chunks, each with its name and size, as one RIFF file; all of them have even sizes."""
    parts = [b"WAVE"]
    for name, data in chunks:
        parts += (name, struct.pack("<I", len(data)), data)
    n_bytes = sum(map(len, parts))
    return b"".join((b"RIFF", struct.pack("<I", n_bytes), *parts))
