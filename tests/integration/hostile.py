"""Files that try to do harm, each in one way, with what each is to be answered.

Conventions: `AT_ONCE` is refused by its structure, before there is a job; `ON_DECODING` shows only when it is
decoded. Each entry is the file, the status and the problem's code.
"""

import gzip
import io
import struct
import zipfile

import numpy as np

from tests.integration import sounds
from tests.unit.ml.media.files import (
    aiff,
    encode,
    midi,
    midi_header,
    midi_track,
    number,
    ogg_page,
    riff,
    streamed_flac,
    vbr_mp3,
)

TONE = sounds.tone(0.5)
WAV = sounds.audio_file(TONE)
FLAC = sounds.audio_file(TONE, kind="FLAC")
MIDI = sounds.midi_file()
NOTE = b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x40"
VORBIS_HEAD = b"\x01vorbis" + struct.pack("<IBIIIIB", 0, 1, 44_100, 0, 0, 0, 0xB8) + b"\x01"
EMPTY_PAGES = 150_000

Expected = tuple[bytes, int, str]


def _zip(data: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("clip.wav", data)
    return archive.getvalue()


def _flac_with_block(kind: int, declared: int, content: bytes) -> bytes:
    """The file with one more block of metadata behind its first."""
    first = b"fLaC" + bytes([FLAC[4] & 0x7F]) + FLAC[5:42]
    return first + bytes([kind]) + declared.to_bytes(3, "big") + content + b"\x81" + bytes(3) + FLAC[42:]


def _wav_that_promises(n_bytes: int) -> bytes:
    return WAV[:40] + struct.pack("<I", n_bytes) + WAV[44:]


def _mp3_that_promises(n_frames: int) -> bytes:
    data = vbr_mp3(TONE)
    at = data.index(b"Xing") + 8
    return data[:at] + struct.pack(">I", n_frames) + data[at + 4 :]


def _not_finite(value: float) -> bytes:
    samples = TONE.copy()
    samples[1_000] = value
    return sounds.audio_file(samples, subtype="FLOAT")


def _midi_that_ends(events: bytes) -> bytes:
    """A track that ends within an event, and is as long as it says."""
    return midi_header() + midi_track(NOTE + events)


AT_ONCE: dict[str, Expected] = {
    "nothing": (b"", 422, "empty-file"),
    "text": (b"This is a text, whatever its name says.\n" * 10, 415, "unknown-format"),
    "a page": (b"<!DOCTYPE html><script>alert(1)</script>", 415, "unknown-format"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(1_000), 415, "unknown-format"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), 415, "unsupported-format"),
    "a zipped recording": (_zip(WAV), 415, "unsupported-format"),
    "a gzipped recording": (gzip.compress(WAV), 415, "unsupported-format"),
    "a gigabyte of nothing in gzip": (gzip.compress(bytes(1_000_000)) * 1_000, 415, "unsupported-format"),
    "a PDF with a recording behind": (b"%PDF-1.7\n" + WAV, 415, "unsupported-format"),
    "a WAV cut off": (WAV[:-2_000], 422, "truncated"),
    "a WAV that promises 2 GB": (_wav_that_promises(0x7FFFFFFE), 422, "truncated"),
    "a WAV at 1 Hz": (sounds.wav_header(rate_hz=1), 422, "sample-rate-out-of-range"),
    "a WAV at 4 GHz": (sounds.wav_header(rate_hz=0xFFFFFFFF), 422, "sample-rate-out-of-range"),
    "a WAV with 1,024 channels": (
        sounds.wav_header(channels=1024, data=bytes(20_480)),
        422,
        "channel-count-out-of-range",
    ),
    "a WAV with no channels": (sounds.wav_header(channels=0), 422, "channel-count-out-of-range"),
    "IMA ADPCM": (sounds.wav_header(coding=0x11, bits=4), 415, "unsupported-codec"),
    "Microsoft ADPCM": (sounds.wav_header(coding=0x02, bits=4), 415, "unsupported-codec"),
    "IMA ADPCM in an AIFF": (aiff(TONE, compression=b"ima4"), 415, "unsupported-codec"),
    "IMA ADPCM in a CAF": (b"caff\0\1\0\0desc" + bytes(100), 415, "unsupported-format"),
    "a SoundFont": (b"RIFF\x10\0\0\0sfbkLIST" + bytes(100), 415, "unsupported-format"),
    "a pickle": (b"\x80\x04\x95\x1a\0\0\0\0\0\0\0\x8c\x02os\x94", 415, "unknown-format"),
    "an array of NumPy": (b"\x93NUMPY\x01\0v\0{'descr': '|O'}", 415, "unknown-format"),
    "a WAV of 20,000 chunks": (riff(b"LIST\0\0\0\0" * 20_000), 422, "corrupt"),
    "a WAV without samples": (sounds.wav_header(data=b""), 422, "no-samples"),
    "an hour of silence": (sounds.silent_flac(3_600), 413, "too-long"),
    "an hour of silence that does not say so": (
        streamed_flac(sounds.silent_flac(3_600)),
        413,
        "too-long",
    ),
    "a FLAC with a picture of 16 MB that is not there": (
        _flac_with_block(6, 0xFFFFFF, bytes(100)),
        422,
        "truncated",
    ),
    "a FLAC of 20,000 blocks": (FLAC[:4] + b"\0" + FLAC[5:42] + b"\x01\0\0\0" * 20_000, 422, "corrupt"),
    "an Ogg of endless pages": (ogg_page(VORBIS_HEAD) + ogg_page(b"") * EMPTY_PAGES, 422, "corrupt"),
    "an Ogg that ends after 292,000 years": (
        ogg_page(VORBIS_HEAD) + ogg_page(b"x", granule=2**62, flags=4, number=1),
        413,
        "too-long",
    ),
    "an MP3 tag of 256 MB that is not there": (
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(1_000),
        415,
        "unknown-format",
    ),
    "a million MP3 tags": (b"ID3\x04\0\0\0\0\0\0" * 1_000_000, 415, "unknown-format"),
    "an MP3 that promises a million frames": (_mp3_that_promises(1_000_000), 422, "truncated"),
    "an AIFF at an endless rate": (
        aiff(TONE, rate=b"\x7f\xff" + b"\xff" * 8),
        422,
        "sample-rate-out-of-range",
    ),
    "an AIFF at a negative rate": (
        aiff(TONE, rate=b"\xc0\x0e\xac\x44" + bytes(6)),
        422,
        "sample-rate-out-of-range",
    ),
    "days of MIDI in 33 bytes": (sounds.endless_midi(), 413, "too-long"),
    "100,000 messages in running status": (sounds.crowded_midi(), 413, "too-many-events"),
    "a MIDI file that is too large": (
        midi(b"\x00\xff\x01" + number(510_000) + bytes(510_000)),
        413,
        "too-many-bytes",
    ),
    "MIDI without time": (sounds.zero_tick_midi(), 422, "invalid-midi"),
    "MIDI without notes": (sounds.midi_file(notes=()), 422, "no-notes"),
    "MIDI in a key that there is not": (midi(b"\x00\xff\x59\x02\x09\x00" + NOTE), 422, "invalid-midi"),
    "MIDI with a tempo of one byte": (midi(b"\x00\xff\x51\x01\x00" + NOTE), 422, "invalid-midi"),
    "MIDI with a metre of no bytes": (midi(b"\x00\xff\x58\x00" + NOTE), 422, "invalid-midi"),
    "MIDI with an impossible frame": (
        midi(b"\x00\xff\x54\x05\xff\xff\xff\xff\xff" + NOTE),
        422,
        "invalid-midi",
    ),
    "MIDI with data that is none": (midi(b"\x00\x90\x3c\x80" + NOTE), 422, "invalid-midi"),
    "MIDI with a number without end": (midi(b"\xff" * 100), 422, "invalid-midi"),
    "MIDI cut off": (MIDI[:-9], 422, "truncated-midi"),
    "MIDI that ends within an event": (_midi_that_ends(b"\x00\x90"), 422, "truncated-midi"),
    "MIDI that ends within a text": (_midi_that_ends(b"\x00\xff\x01\x7fx"), 422, "truncated-midi"),
    "MIDI that promises 65,535 tracks": (
        midi_header(kind=1, n_tracks=0xFFFF) + midi_track(NOTE),
        413,
        "too-many-tracks",
    ),
    "MIDI that promises a track of 4 GB": (
        midi_header() + midi_track(NOTE, size=0xFFFFFFFF),
        422,
        "truncated-midi",
    ),
    "MIDI in frames of film": (midi(NOTE, division=0xE728), 415, "unsupported-midi"),
    "MIDI with 500 notes at once": (
        midi_header(kind=1, n_tracks=4)
        + b"".join(
            midi_track(b"".join(bytes([0, 0x90 | channel, key, 64]) for key in range(128)))
            for channel in range(4)
        ),
        413,
        "too-many-notes",
    ),
}

ON_DECODING: dict[str, Expected] = {
    "NaN": (_not_finite(float("nan")), 422, "non-finite-samples"),
    "infinity": (_not_finite(float("-inf")), 422, "non-finite-samples"),
    "a level beyond all measure": (_not_finite(3e38), 422, "excessive-level"),
    "a damaged frame": (sounds.corrupt_flac(), 422, "corrupt"),
    "a FLAC cut off within a frame": (FLAC[: len(FLAC) * 2 // 3], 422, "corrupt"),
    "an empty double": (
        encode(np.full(1_000, np.nan), sounds.RATE_HZ, subtype="DOUBLE"),
        422,
        "non-finite-samples",
    ),
}
