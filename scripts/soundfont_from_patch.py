"""Makes a SoundFont of a Gravis UltraSound patch.

    python -m scripts.soundfont_from_patch OUT.sf2 --program 24 --file X.pat --title TITLE --comment SOURCE

Read is the first layer of the format `GF1PATCH110`, little-endian: a file header, an instrument header, a
layer header, then each sample with its key range, loop and envelope. Debian's `freepats` has such files.
"""

from __future__ import annotations

import argparse
import struct
from dataclasses import replace
from math import ceil, floor, log2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.soundfont_writer import LAST_KEY, Zone, write_soundfont

FILE_HEADER_BYTES, INSTRUMENT_HEADER_BYTES, LAYER_HEADER_BYTES, SAMPLE_HEADER_BYTES = 129, 63, 47, 96
SAMPLE_COUNT_AT = 6  # in the layer header
WIDE, UNSIGNED, LOOPED, THERE_AND_BACK = 1, 2, 4, 8  # bits of a sample's mode
SHORTEST_LOOP_FRAMES = 8
SHORTEST_RELEASE_S = 0.05
DYING_AWAY_S = 8.0  # over 100 dB, about what a plucked string takes


def zones_from_patch(data: bytes, plucked: bool) -> list[Zone]:
    """The zones of a patch, which cover the whole keyboard.

    `plucked` lets looped ends die away as strings do: patches loop a short piece at one loudness.
    """
    if not data.startswith(b"GF1PATCH1"):
        raise ValueError(f"No Gravis UltraSound patch: it begins with {data[:9]!r}.")
    at = FILE_HEADER_BYTES + INSTRUMENT_HEADER_BYTES
    try:
        n_samples = data[at + SAMPLE_COUNT_AT]
        at += LAYER_HEADER_BYTES
        zones = []
        for _ in range(n_samples):
            zone, at = _read_sample(data, at, plucked)
            zones.append(zone)
    except (IndexError, struct.error) as error:
        raise ValueError(f"The patch of {len(data)} bytes is cut off at byte {at}.") from error
    return _without_gaps(zones)


def _read_sample(data: bytes, at: int, plucked: bool) -> tuple[Zone, int]:
    """The sample whose header begins at a byte, and where the next one begins."""
    head = data[at : at + SAMPLE_HEADER_BYTES]
    size, loop_start, loop_end, rate_hz, *pitches_mhz = struct.unpack_from("<IIIHIII", head, 8)
    at += SAMPLE_HEADER_BYTES
    rates, levels, mode = head[37:43], head[43:49], head[55]
    raw = data[at : at + size]
    if len(raw) < size:
        raise IndexError
    sound = _decode(raw, mode)
    frame_bytes = 2 if mode & WIDE else 1
    start, end = loop_start // frame_bytes, min(loop_end // frame_bytes, len(sound))
    if mode & THERE_AND_BACK:  # SoundFonts know no such loop: unfold it
        sound = np.concatenate([sound[:end], sound[start:end][::-1]])
        end += end - start
    lowest, highest, root = (69 + 12 * log2(mhz / 1000 / 440) for mhz in pitches_mhz)
    zone = Zone(
        head[:7].split(b"\0")[0].decode("ascii", "replace"),
        sound,
        rate_hz,
        root,
        (_on_keyboard(ceil(lowest)), _on_keyboard(floor(highest))),
        loop_frames=(start, end) if mode & LOOPED and end - start > SHORTEST_LOOP_FRAMES else None,
        attack_s=_stage_s(rates[0], levels[0]),
        release_s=max(SHORTEST_RELEASE_S, _stage_s(rates[3], levels[2])),
    )
    if plucked and zone.loop_frames:
        zone = replace(zone, hold_s=start / rate_hz, decay_s=DYING_AWAY_S, sustain_attenuation_db=100.0)
    return zone, at + size


def _decode(raw: bytes, mode: int) -> NDArray[np.int16]:
    if mode & WIDE:
        sound = np.frombuffer(raw, "<u2" if mode & UNSIGNED else "<i2").astype(np.int32)
        return (sound - (32768 if mode & UNSIGNED else 0)).astype(np.int16)
    sound = np.frombuffer(raw, "u1" if mode & UNSIGNED else "i1").astype(np.int32)
    return (256 * (sound - (128 if mode & UNSIGNED else 0))).astype(np.int16)


def _stage_s(rate: int, change: int) -> float:
    """How long a stage of the envelope takes; the rate has a mantissa of 6 bits and a range of 2."""
    step = (rate & 0x3F) << (3 * (3 - (rate >> 6)))
    return change * 8192 / (max(step, 1) * 44100)


def _on_keyboard(key: int) -> int:
    return max(0, min(LAST_KEY, key))


def _without_gaps(zones: list[Zone]) -> list[Zone]:
    """Each zone up to the next one: rounded frequencies leave single keys and the keyboard's ends open."""
    kept = sorted((zone for zone in zones if zone.keys[0] <= zone.keys[1]), key=lambda zone: zone.keys)
    if not kept:
        raise ValueError(f"None of the {len(zones)} samples has a key.")
    starts = [0, *(zone.keys[0] for zone in kept[1:])]
    ends = [*(start - 1 for start in starts[1:]), LAST_KEY]
    return [replace(zone, keys=(start, end)) for zone, start, end in zip(kept, starts, ends, strict=True)]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes a SoundFont of a Gravis UltraSound patch.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--program", type=int, required=True, help="General MIDI number, from 0")
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--plucked", action="store_true", help="let looped ends die away")
    parser.add_argument("--title", required=True)
    parser.add_argument("--comment", required=True, help="source and licence, kept in the file")
    asked = parser.parse_args()
    try:
        zones = zones_from_patch(asked.file.read_bytes(), asked.plucked)
        write_soundfont(asked.out, asked.title, asked.program, zones, asked.comment)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{asked.out} was not made: {error}") from error


if __name__ == "__main__":
    main()
