"""Files as nobody should send them: real recordings, mutated.

Conventions: a seed is a small real file, cut from the examples or written by another program than the one
that reads it; a mutation changes bytes blindly, or the pieces and fields that its format is made of. Each is
a hypothesis strategy, so that a file that breaks something is made small before it is shown.
"""

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import strategies as st

from tests.integration.sounds import audio_file, midi_file
from tests.reliability.format_mutations import CHANGES, EDGES, Change, mend_midi
from tests.unit.ml.media.files import streamed_flac

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CUT_S = 0.4
MOST_STEPS = 3
HEAD_BYTES = 120
MAGIC_BYTES = 4
KINDS = ("wav", "flac", "midi")


@dataclass(frozen=True)
class Sent:
    """A file and the name that it is sent under."""

    kind: str
    filename: str
    data: bytes


def _cut(name: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """The beginning of an example, `(n_frames,)` or `(n_frames, channels)`."""
    samples, rate_hz = soundfile.read(EXAMPLES / name, dtype="float32")
    return np.asarray(samples[: round(CUT_S * rate_hz)], np.float32)


def _wav_seeds() -> tuple[bytes, ...]:
    mono, stereo = _cut("violin-and-organ.wav"), np.stack([_cut("trumpet-and-celesta.wav")] * 2, axis=1)
    return (
        audio_file(mono),
        audio_file(stereo),
        audio_file(mono, subtype="PCM_24"),
        audio_file(mono, subtype="PCM_U8"),
        audio_file(mono, subtype="FLOAT"),
        audio_file(mono, subtype="DOUBLE"),
        audio_file(stereo, kind="WAVEX"),
    )


def _flac_seeds() -> tuple[bytes, ...]:
    mono, stereo = _cut("trumpet.flac"), np.stack([_cut("celesta.flac")] * 2, axis=1)
    plain = audio_file(mono, kind="FLAC")
    return (plain, streamed_flac(plain), audio_file(stereo, kind="FLAC", subtype="PCM_24"))


def _midi_seeds() -> tuple[bytes, ...]:
    scores = [(EXAMPLES / name).read_bytes() for name in ("trumpet-and-celesta.mid", "violin-and-organ.mid")]
    return (*scores, midi_file((60, 64, 67), length=120))


SEEDS = {"wav": _wav_seeds(), "flac": _flac_seeds(), "midi": _midi_seeds()}


@st.composite
def mutated_files(draw: st.DrawFn) -> Sent:
    """A mutated file under some name."""
    kind = draw(st.sampled_from(KINDS))
    data = bytearray(draw(st.sampled_from(SEEDS[kind])))
    for _ in range(draw(st.integers(1, MOST_STEPS))):
        if data:
            draw(st.sampled_from(_BLIND + CHANGES[kind]))(data, draw)
    if kind == "midi" and draw(st.sampled_from((True, True, False))):
        mend_midi(data)
    return Sent(kind, draw(st.sampled_from(FILENAMES)), bytes(data))


# Names that are paths, controls, nothing, too long, or of something else.
FILENAMES = (
    "clip.wav",
    "clip.flac",
    "clip.mid",
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "nul\x00byte.wav",
    "line\nbreak\r\n\x1b[31m.wav",
    "a" * 4_000 + ".wav",
    "\u202etxt.vaw",
    "clip.exe",
    " ",
)


def _at(data: bytearray, draw: st.DrawFn) -> int:
    """A position, as often as not near the start, where the headers are; seldom in what tells the kind."""
    reach = len(data) if draw(st.booleans()) else min(len(data), HEAD_BYTES)
    first = draw(st.sampled_from((0, *[MAGIC_BYTES] * 7)))
    return draw(st.integers(min(first, reach - 1), max(0, reach - 1)))


def _flip(data: bytearray, draw: st.DrawFn) -> None:
    for _ in range(draw(st.integers(1, 8))):
        data[_at(data, draw)] ^= 1 << draw(st.integers(0, 7))


def _edge(data: bytearray, draw: st.DrawFn) -> None:
    at, size = _at(data, draw), draw(st.sampled_from((1, 2, 4)))
    value = draw(st.sampled_from(EDGES)) & 256**size - 1
    data[at : at + size] = value.to_bytes(size, draw(st.sampled_from(("little", "big"))))


def _remove(data: bytearray, draw: st.DrawFn) -> None:
    at = _at(data, draw)
    del data[at : at + draw(st.sampled_from((1, 2, 4, 100, 4_000)))]


def _insert(data: bytearray, draw: st.DrawFn) -> None:
    at = _at(data, draw)
    data[at:at] = draw(st.binary(min_size=1, max_size=40))


def _repeat(data: bytearray, draw: st.DrawFn) -> None:
    at = _at(data, draw)
    data[at:at] = data[at : at + draw(st.sampled_from((1, 8, 60, 5_000)))] * draw(st.sampled_from((1, 2, 50)))


def _cut_off(data: bytearray, draw: st.DrawFn) -> None:
    del data[_at(data, draw) :]


def _splice(data: bytearray, draw: st.DrawFn) -> None:
    """Goes on as another file, of its own kind or another."""
    other = draw(st.sampled_from(SEEDS[draw(st.sampled_from(KINDS))]))
    data[_at(data, draw) :] = other[draw(st.integers(0, len(other) - 1)) :]


def _append(data: bytearray, draw: st.DrawFn) -> None:
    data += draw(st.sampled_from(SEEDS[draw(st.sampled_from(KINDS))]))


def _wrap(data: bytearray, draw: st.DrawFn) -> None:
    """Puts it into, or behind, something that is no recording."""
    match draw(st.sampled_from(("gzip", "zip", "zip behind", "ID3", "ID3 without end", "script"))):
        case "gzip":
            data[:] = gzip.compress(bytes(data))
        case "zip" | "zip behind" as way:
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr("clip.wav", bytes(data))
            data[:] = archive.getvalue() if way == "zip" else data + archive.getvalue()
        case "ID3":
            data[:0] = b"ID3\x04\0\0\0\0\x01\0" + bytes(128)
        case "ID3 without end":
            data[:0] = b"ID3\x04\0\0\x7f\x7f\x7f\x7f"
        case "script":
            data[:0] = b"<script>alert(1)</script>"


_BLIND: tuple[Change, ...] = (
    _flip,
    _flip,
    _edge,
    _edge,
    _remove,
    _insert,
    _repeat,
    _cut_off,
    _splice,
    _append,
    _wrap,
)
