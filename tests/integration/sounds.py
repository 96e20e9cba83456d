"""Small recordings for the tests, made here: tones, MIDI files, and files that are broken in one way each."""

import io
import struct
from collections.abc import Sequence

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 44_100


def tone(
    duration_s: float = 5.0, *, frequency_hz: float = 440.0, on_s: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """A tone with falling overtones, silent outside `on_s`."""
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * frequency_hz * k * times_s) / k for k in range(1, 6)) * 0.1
    if on_s is not None:
        wave = np.where((times_s >= on_s[0]) & (times_s < on_s[1]), wave, 0.0)
    return np.asarray(wave, np.float32)


def audio_file(samples: NDArray[np.float32], *, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """The samples as a file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format=kind, subtype=subtype)
    return buffer.getvalue()


def midi_file(
    notes: Sequence[int] = (60, 64, 67), *, program: int = 40, ticks: int = 480, length: int = 480
) -> bytes:
    """One track that plays the notes one after the other."""
    song = mido.MidiFile(ticks_per_beat=ticks)
    track = mido.MidiTrack()
    song.tracks.append(track)
    track.append(mido.Message("program_change", program=program, time=0))
    for note in notes:
        track.append(mido.Message("note_on", note=note, velocity=96, time=0))
        track.append(mido.Message("note_off", note=note, velocity=0, time=length))
    buffer = io.BytesIO()
    song.save(file=buffer)
    return buffer.getvalue()


def wav_header(
    *, rate_hz: int = RATE_HZ, channels: int = 1, coding: int = 1, bits: int = 16, data: bytes = bytes(8820)
) -> bytes:
    """A WAV file whose header says what it is told to."""
    block = max(1, channels * bits // 8)
    head = struct.pack("<HHIIHH", coding, channels, rate_hz, rate_hz * block % 2**32, block % 2**16, bits)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def nan_file() -> bytes:
    """A float WAV in which some samples are no numbers: only decoding shows it."""
    samples = tone(1.0)
    samples[1000:1010] = np.nan
    return audio_file(samples, subtype="FLOAT")


def corrupt_flac() -> bytes:
    """A FLAC file whose header is right and whose frames are damaged: only decoding shows it."""
    data = bytearray(audio_file(tone(2.0), kind="FLAC"))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(255 - byte for byte in data[middle : middle + 200])
    return bytes(data)


def silent_flac(duration_s: float) -> bytes:
    """Silence: many seconds in few bytes."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8_000, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(round(duration_s / 60)):
            file.write(np.zeros(60 * 8_000, np.int16))
    return buffer.getvalue()


def endless_midi() -> bytes:
    """33 bytes of MIDI that last for days: one note, the longest delta times, the slowest tempo."""
    events = b"\x00\xff\x51\x03\xff\xff\xff\x00\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\x00\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(events)) + events


def crowded_midi(n_notes: int = 50_000) -> bytes:
    """Twice as many events as notes, in running status."""
    events = b"\x00\x90" + b"\x00\x3c\x40"[1:] + b"\x00\x3c\x40\x00\x3c\x00" * n_notes + b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(events)) + events


def zero_tick_midi() -> bytes:
    """A MIDI file whose header says that a beat has no ticks."""
    data = bytearray(midi_file())
    data[12:14] = b"\x00\x00"
    return bytes(data)
