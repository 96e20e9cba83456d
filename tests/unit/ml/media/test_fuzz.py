"""Whatever is done to a real file: it is read, or refused with a `MediaError` that says why."""

import io

import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.media import MediaError, MediaLimits, decode_audio, inspect_media, parse_midi
from tests.unit.ml.media.files import RATE_HZ, aiff, encode, streamed_flac, tone, vbr_mp3, wav

LIMITS = MediaLimits(max_duration_s=5.0)
MAX_MESSAGE_LENGTH = 400
SAMPLES = np.stack([tone(duration_s=0.1), tone(700.0, 0.1)], axis=1)
# Values at the edges of what a field can hold.
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def real_midi() -> bytes:
    file = mido.MidiFile(type=1)
    for channel in range(2):
        track = mido.MidiTrack()
        file.tracks.append(track)
        track.append(mido.MetaMessage("set_tempo", tempo=400_000))
        track.append(mido.MetaMessage("key_signature", key="Ebm"))
        track.append(mido.MetaMessage("time_signature", numerator=3, denominator=8))
        track.append(mido.Message("sysex", data=[1, 2, 3]))
        track.append(mido.Message("program_change", channel=channel, program=40))
        for key in range(60, 66):
            track.append(mido.Message("note_on", channel=channel, note=key, time=30))
            track.append(mido.Message("note_on", channel=channel, note=key, velocity=0, time=100))
    target = io.BytesIO()
    file.save(file=target)
    return target.getvalue()


REAL = {
    "wav": wav(SAMPLES),
    "wav float": encode(SAMPLES, subtype="FLOAT"),
    "wav extensible": encode(SAMPLES, file_format="WAVEX", subtype="PCM_24"),
    "aiff": aiff(SAMPLES),
    "aifc": encode(SAMPLES, file_format="AIFF", subtype="FLOAT"),
    "flac": encode(SAMPLES, file_format="FLAC"),
    "flac streamed": streamed_flac(encode(SAMPLES, file_format="FLAC")),
    "ogg": encode(SAMPLES, file_format="OGG", subtype="VORBIS"),
    "mp3": vbr_mp3(SAMPLES, 22_050),
    "midi": real_midi(),
}


@st.composite
def mutations(draw: st.DrawFn, original: bytes) -> bytes:
    """A file with a few bytes changed, removed, inserted or repeated, mostly near its start."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        reach = len(data) if draw(st.booleans()) else min(len(data), 120)
        at = draw(st.integers(0, max(0, reach - 1)))
        match draw(st.sampled_from(["flip", "edge", "remove", "insert", "repeat", "cut"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "edge":
                size = draw(st.sampled_from([1, 2, 4]))
                value = draw(st.sampled_from(EDGES)) & 256**size - 1
                data[at : at + size] = value.to_bytes(size, draw(st.sampled_from(["little", "big"])))
            case "remove":
                del data[at : at + draw(st.sampled_from([1, 2, 4, 100]))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=20))
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 60))]
            case "cut":
                del data[at:]
    return bytes(data)


def check(data: bytes) -> None:
    """Inspect and decode: either works, or a `MediaError` says in one sentence why not."""
    for read in (inspect_media, parse_midi, lambda data, limits: decode_audio(data, RATE_HZ, limits)):
        message = "fine"
        try:
            found = read(data, LIMITS)
        except MediaError as error:
            message = str(error)
        else:
            assert not isinstance(found, np.ndarray) or (found.size and np.isfinite(found).all())
        assert 0 < len(message) < MAX_MESSAGE_LENGTH
        assert message.isprintable()


@pytest.mark.parametrize("name", REAL)
def test_the_originals_are_read(name: str) -> None:
    assert inspect_media(REAL[name], LIMITS).duration_s > 0


@pytest.mark.parametrize("name", REAL)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_files(name: str, data: st.DataObject) -> None:
    check(data.draw(mutations(REAL[name])))


MAGICS = [
    b"",
    b"RIFF\x10\0\0\0WAVE",
    b"FORM\0\0\0\x10AIFF",
    b"fLaC",
    b"OggS\0",
    b"ID3\x04\0\0\0\0\0\0",
    b"\xff\xfb\x90\x64",
    b"MThd\0\0\0\6",
]


@settings(max_examples=500, deadline=None)
@given(magic=st.sampled_from(MAGICS), content=st.binary(max_size=300))
def test_random_bytes_behind_real_beginnings(magic: bytes, content: bytes) -> None:
    check(magic + content)
