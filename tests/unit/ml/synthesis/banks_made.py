"""SoundFonts made for tests: a few presets of one looped wave each (SoundFont 2.01, sections 4 to 7).

A test that needs several banks, or many copies of one, writes them in a millisecond and needs no packages.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SAMPLE_RATE_HZ = 44_100
A4, A4_HZ = 69, 441.0  # a hundred samples a period, so that a loop of ten fits
_GUARD_SAMPLES = 46  # zeros that must follow every sample
_GEN_INSTRUMENT, _GEN_SAMPLE, _GEN_SAMPLE_MODES = 41, 53, 54


def write_soundfont(path: Path, presets: Sequence[tuple[int, int]] = ((0, 0),), brightness: int = 1) -> Path:
    """Write a SoundFont.

    Parameters
    ----------
    path : Path
    presets : sequence of (int, int)
        Bank and program of each preset; all sound alike.
    brightness : int
        How many harmonics the wave has: what tells one bank from another.

    Returns
    -------
    Path
        As given.
    """
    time_s = np.arange(1_000) / SAMPLE_RATE_HZ
    harmonics = [np.sin(2 * np.pi * A4_HZ * k * time_s) / k for k in range(1, brightness + 1)]
    wave = (0.4 * 32_767 * np.sum(harmonics, axis=0)).astype("<i2")
    samples = wave.tobytes() + bytes(2 * _GUARD_SAMPLES)
    info = (
        _chunk(b"ifil", struct.pack("<HH", 2, 1))
        + _chunk(b"isng", b"EMU8000\0")
        + _chunk(b"INAM", b"test\0\0")
    )
    headers = b"".join(
        struct.pack("<20sHHHIII", b"wave", program, bank, place, 0, 0, 0)
        for place, (bank, program) in enumerate(presets)
    ) + struct.pack("<20sHHHIII", b"EOP", 0, 0, len(presets), 0, 0, 0)
    bags = b"".join(struct.pack("<HH", place, 0) for place in range(len(presets) + 1))
    generators = struct.pack("<HH", _GEN_INSTRUMENT, 0) * len(presets) + bytes(4)
    sample = struct.pack(
        "<20sIIIIIBbHH", b"wave", 0, len(wave), 100, len(wave) - 100, SAMPLE_RATE_HZ, A4, 0, 0, 1
    )
    data = (
        _chunk(b"phdr", headers)
        + _chunk(b"pbag", bags)
        + _chunk(b"pmod", bytes(10))
        + _chunk(b"pgen", generators)
        + _chunk(b"inst", struct.pack("<20sH", b"wave", 0) + struct.pack("<20sH", b"EOI", 1))
        + _chunk(b"ibag", struct.pack("<HHHH", 0, 0, 2, 0))
        + _chunk(b"imod", bytes(10))
        + _chunk(b"igen", struct.pack("<HHHHHH", _GEN_SAMPLE_MODES, 1, _GEN_SAMPLE, 0, 0, 0))
        + _chunk(b"shdr", sample + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0))
    )
    lists = b"".join(
        _chunk(b"LIST", kind + content)
        for kind, content in ((b"INFO", info), (b"sdta", _chunk(b"smpl", samples)), (b"pdta", data))
    )
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + lists))
    return path


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
