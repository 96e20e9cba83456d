"""Makes a SoundFont of one Hammond registration.

    python -m scripts.soundfont_from_setbfree OUT.sf2 --bundle DIR --setup 4,26 --title TITLE --comment SOURCE

The organ is setBfree, a program that emulates tone wheels, amplifier and rotating speaker. It is played
through its LV2 plugin (`DIR/b_synth.so`), called here directly, so no audio server is needed. Every third key
is held for five seconds. Ports: 0 takes MIDI, 1 gives notices, 2 and 3 give sound.

What the plugin draws at random, such as the clicks of its contacts, follows from `srand(time(NULL))`: the
same bytes need the same clock. `scripts/more_banks.sh` holds it with libfaketime.
"""

from __future__ import annotations

import argparse
import ctypes
import struct
from ctypes import c_char_p, c_double, c_int, c_uint32, c_void_p
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.soundfont_writer import Zone, key_ranges, write_soundfont

SAMPLE_RATE_HZ, BLOCK_FRAMES = 44100, 256
EVENT_BYTES, NOTICE_BYTES = 8192, 1 << 19
KEYS = range(36, 97, 3)
VELOCITY = 100
NOTE_S, FADE_S, PAUSE_S, RELEASE_S = 5.0, 0.1, 0.5, 0.06
PEAK = 0.7
NOTE_OFF, NOTE_ON, PROGRAM_CHANGE = 0x80, 0x90, 0xC0
HAMMOND_ORGAN = 16

URID_MAP = b"http://lv2plug.in/ns/ext/urid#map"
WORKER = b"http://lv2plug.in/ns/ext/worker#schedule"
SEQUENCE = b"http://lv2plug.in/ns/ext/atom#Sequence"
MIDI_EVENT = b"http://lv2plug.in/ns/ext/midi#MidiEvent"

_MapUri = ctypes.CFUNCTYPE(c_uint32, c_void_p, c_char_p)
_Schedule = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint32, c_void_p)


class _Descriptor(ctypes.Structure):
    """The head of `LV2_Descriptor`, as far as it is needed."""

    _fields_ = (
        ("uri", c_char_p),
        ("instantiate", ctypes.CFUNCTYPE(c_void_p, c_void_p, c_double, c_char_p, c_void_p)),
        ("connect_port", ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)),
        ("activate", ctypes.CFUNCTYPE(None, c_void_p)),
        ("run", ctypes.CFUNCTYPE(None, c_void_p, c_uint32)),
    )


class _MapFeature(ctypes.Structure):
    _fields_ = (("handle", c_void_p), ("map", _MapUri))


class _WorkerFeature(ctypes.Structure):
    _fields_ = (("handle", c_void_p), ("schedule", _Schedule))


class _Feature(ctypes.Structure):
    _fields_ = (("uri", c_char_p), ("data", c_void_p))


class Organ:
    """One instance of the plugin. What C holds pointers to is kept here as attributes."""

    def __init__(self, bundle: Path) -> None:
        self._urids: dict[bytes, int] = {}
        library = ctypes.CDLL(str(bundle / "b_synth.so"))
        library.lv2_descriptor.restype = ctypes.POINTER(_Descriptor)
        self._plugin = library.lv2_descriptor(0).contents
        self._map = _MapFeature(None, _MapUri(lambda _, uri: self._urid(uri)))
        self._worker = _WorkerFeature(None, _Schedule(lambda *_: 0))  # only its windows need work done
        self._features = (
            _Feature(URID_MAP, ctypes.addressof(self._map)),
            _Feature(WORKER, ctypes.addressof(self._worker)),
        )
        self._list = (c_void_p * 3)(*(ctypes.addressof(feature) for feature in self._features), None)
        self._handle = self._plugin.instantiate(
            ctypes.addressof(self._plugin),
            SAMPLE_RATE_HZ,
            f"{bundle}/".encode(),
            ctypes.addressof(self._list),
        )
        if not self._handle:
            raise OSError(f"setBfree's plugin in {bundle} does not start.")
        self._events = ctypes.create_string_buffer(EVENT_BYTES)
        self._notices = ctypes.create_string_buffer(NOTICE_BYTES)
        self._sound = np.zeros((2, BLOCK_FRAMES), np.float32)  # (n_channels, n_frames)
        buffers = (ctypes.addressof(self._events), ctypes.addressof(self._notices))
        for port, address in enumerate((*buffers, *(channel.ctypes.data for channel in self._sound))):
            self._plugin.connect_port(self._handle, port, address)
        if self._plugin.activate:
            self._plugin.activate(self._handle)

    def _urid(self, uri: bytes) -> int:
        return self._urids.setdefault(uri, len(self._urids) + 1)

    def play(self, duration_s: float, *message: int) -> NDArray[np.float32]:
        """What sounds, in mono, `(n_frames,)`, after a MIDI message is sent, if one is given."""
        blocks = []
        for block in range(round(duration_s * SAMPLE_RATE_HZ) // BLOCK_FRAMES):
            sent = self._sequence(bytes(message) if block == 0 else b"")
            ctypes.memmove(self._events, sent, len(sent))
            ctypes.memmove(self._notices, struct.pack("<II", NOTICE_BYTES - 8, 0), 8)
            self._plugin.run(self._handle, BLOCK_FRAMES)
            blocks.append(self._sound.mean(axis=0))
        return np.concatenate(blocks)

    def _sequence(self, message: bytes) -> bytes:
        """An LV2 atom: its size and type, then the sequence's unit and at most one event at frame 0."""
        body = struct.pack("<II", 0, 0)
        kind = self._urid(SEQUENCE)
        if message:
            body += struct.pack("<qII", 0, len(message), self._urid(MIDI_EVENT)) + message
            body += bytes(-len(message) % 8)
        return struct.pack("<II", len(body), kind) + body


def play_registration(bundle: Path, setup: list[int]) -> list[Zone]:
    """Plays the keys once the MIDI programs of `setup` were sent in turn (see setBfree's `default.pgm`)."""
    organ = Organ(bundle)
    organ.play(1.0)
    for number in setup:
        organ.play(0.1, PROGRAM_CHANGE, number)
    organ.play(2.0)  # the speaker comes up to speed
    notes = []
    for key in KEYS:
        notes.append(organ.play(NOTE_S, NOTE_ON, key, VELOCITY))
        organ.play(PAUSE_S, NOTE_OFF, key, 0)
    peak = max(np.abs(note).max() for note in notes)
    if peak == 0:
        raise ValueError(f"setBfree stays silent with the programs {setup}.")
    gain, fade, ranges = PEAK / peak, round(FADE_S * SAMPLE_RATE_HZ), key_ranges(KEYS)
    zones = []
    for key, note in zip(KEYS, notes, strict=True):
        scaled = note * gain
        scaled[-fade:] *= np.linspace(1, 0, fade)
        samples = np.round(scaled * 32767).astype(np.int16)
        zones.append(Zone(f"organ{key}", samples, SAMPLE_RATE_HZ, key, ranges[key], release_s=RELEASE_S))
    return zones


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes a SoundFont of one Hammond registration.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of setBfree's LV2 plugin b_synth")
    parser.add_argument("--setup", required=True, help="MIDI programs to send first, by comma")
    parser.add_argument("--title", required=True)
    parser.add_argument("--comment", required=True, help="source and registration, kept in the file")
    asked = parser.parse_args()
    try:
        zones = play_registration(asked.bundle, [int(number) for number in asked.setup.split(",")])
        write_soundfont(asked.out, asked.title, HAMMOND_ORGAN, zones, asked.comment)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{asked.out} was not made: {error}") from error


if __name__ == "__main__":
    main()
