"""Writes SoundFont 2 files of one preset: recordings in, a file that FluidSynth plays out.

Conventions: sound is mono, 16-bit; loops are half-open ranges of frames; pitches are MIDI keys, of which
recordings may have fractions. Chunks and generators are those of the SoundFont Technical Specification 2.04.
The same zones give the same bytes.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LAST_KEY = 127
GUARD_FRAMES = 46
"""Silence that the specification asks for after every sample."""

# Numbers of generators
KEY_RANGE, VELOCITY_RANGE, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 43, 44, 34, 35, 36, 37, 38
INSTRUMENT, FINE_TUNE, SAMPLE_MODES, ROOT_KEY, SAMPLE_ID = 41, 52, 54, 58, 53


@dataclass(frozen=True)
class Zone:
    """One recording, the keys and velocities that play it, and its envelope."""

    name: str
    samples: NDArray[np.int16]  # (n_frames,)
    sample_rate_hz: int
    root_key: float
    keys: tuple[int, int] = (0, LAST_KEY)
    velocities: tuple[int, int] = (0, 127)
    loop_frames: tuple[int, int] | None = None
    attack_s: float = 0.001
    hold_s: float = 0.001
    decay_s: float = 0.001
    sustain_attenuation_db: float = 0.0  # while the key is down, once the decay is over
    release_s: float = 0.3


def key_ranges(roots: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Shares the keyboard between recordings: each key goes to the nearest root, the lower of two as near."""
    ordered = sorted(set(roots))
    splits = [(low + high) // 2 for low, high in itertools.pairwise(ordered)]
    starts = [0, *(split + 1 for split in splits)]
    return dict(zip(ordered, zip(starts, [*splits, LAST_KEY], strict=True), strict=True))


def write_soundfont(path: Path, title: str, program: int, zones: Sequence[Zone], comment: str) -> None:
    """Writes `zones` as preset 0:`program`; `comment` tells where the sounds come from."""
    if not zones:
        raise ValueError(f"{path}: no recordings to write.")
    if not 0 <= program <= 127:
        raise ValueError(f"{path}: program {program} is outside 0-127.")
    path.parent.mkdir(parents=True, exist_ok=True)
    body = b"sfbk" + _information(title, comment) + _sound(zones) + _articulation(title, program, zones)
    path.write_bytes(_chunk(b"RIFF", body))


def _information(title: str, comment: str) -> bytes:
    return _list(
        b"INFO",
        _chunk(b"ifil", struct.pack("<HH", 2, 1)),
        _chunk(b"isng", b"EMU8000\0"),
        _chunk(b"INAM", _text(title)),
        _chunk(b"ICMT", _text(comment)),
    )


def _sound(zones: Sequence[Zone]) -> bytes:
    silence = bytes(2 * GUARD_FRAMES)
    samples = b"".join(zone.samples.astype("<i2").tobytes() + silence for zone in zones)
    return _list(b"sdta", _chunk(b"smpl", samples))


def _articulation(title: str, program: int, zones: Sequence[Zone]) -> bytes:
    headers: list[bytes] = []
    bags: list[bytes] = []
    generators: list[bytes] = []
    start = 0
    for index, zone in enumerate(zones):
        headers.append(_sample_header(zone, start))
        start += len(zone.samples) + GUARD_FRAMES
        bags.append(struct.pack("<HH", len(generators), 0))
        generators += [struct.pack("<H", number) + value for number, value in _generators(zone, index)]
    bags.append(struct.pack("<HH", len(generators), 0))
    # Every table ends with a terminal record.
    preset = _name(title) + struct.pack("<HHHIII", program, 0, 0, 0, 0, 0)
    preset_end = _name("EOP") + struct.pack("<HHHIII", 0, 0, 1, 0, 0, 0)
    instrument = _name(title) + struct.pack("<H", 0)
    instrument_end = _name("EOI") + struct.pack("<H", len(zones))
    return _list(
        b"pdta",
        _chunk(b"phdr", preset + preset_end),
        _chunk(b"pbag", struct.pack("<4H", 0, 0, 1, 0)),
        _chunk(b"pmod", bytes(10)),
        _chunk(b"pgen", struct.pack("<HH", INSTRUMENT, 0) + bytes(4)),
        _chunk(b"inst", instrument + instrument_end),
        _chunk(b"ibag", b"".join(bags)),
        _chunk(b"imod", bytes(10)),
        _chunk(b"igen", b"".join(generators) + bytes(4)),
        _chunk(b"shdr", b"".join(headers) + _name("EOS") + bytes(26)),
    )


def _sample_header(zone: Zone, start: int) -> bytes:
    frames = len(zone.samples)
    loop_start, loop_end = zone.loop_frames or (0, frames)
    places = (start, start + frames, start + loop_start, start + loop_end)
    pitch = struct.pack("<BbHH", _whole_root(zone), 0, 0, 1)  # no correction, no partner: mono
    return _name(zone.name) + struct.pack("<5I", *places, zone.sample_rate_hz) + pitch


def _generators(zone: Zone, sample: int) -> list[tuple[int, bytes]]:
    root = _whole_root(zone)
    fine_cents = round(100 * (root - zone.root_key))  # a sharp recording is tuned down
    return [  # ranges first and the sample last, as the specification orders them
        (KEY_RANGE, struct.pack("<BB", *zone.keys)),
        (VELOCITY_RANGE, struct.pack("<BB", *zone.velocities)),
        (ATTACK, _timecents(zone.attack_s)),
        (HOLD, _timecents(zone.hold_s)),
        (DECAY, _timecents(zone.decay_s)),
        (SUSTAIN, struct.pack("<h", round(10 * zone.sustain_attenuation_db))),
        (RELEASE, _timecents(zone.release_s)),
        (FINE_TUNE, struct.pack("<h", fine_cents)),
        (SAMPLE_MODES, struct.pack("<H", 1 if zone.loop_frames else 0)),
        (ROOT_KEY, struct.pack("<H", root)),
        (SAMPLE_ID, struct.pack("<H", sample)),
    ]


def _whole_root(zone: Zone) -> int:
    return max(0, min(LAST_KEY, round(zone.root_key)))


def _timecents(duration_s: float) -> bytes:
    cents = round(1200 * log2(max(duration_s, 0.001)))
    return struct.pack("<h", max(-12000, min(8000, cents)))


def _chunk(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def _list(kind: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"LIST", kind + b"".join(chunks))


def _text(text: str) -> bytes:
    """Zero-ended and of even length, without which FluidSynth refuses a file."""
    raw = text.encode("ascii", "replace")[:254]
    return raw + bytes(2 - len(raw) % 2)


def _name(text: str) -> bytes:
    return text.encode("ascii", "replace")[:19].ljust(20, b"\0")
