"""SoundFonts made of recordings: FluidSynth plays them in tune, in time, and with the right recording."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ml.synthesis.render import SAMPLE_RATE_HZ, RenderOptions, render_events
from scripts.soundfont_from_notes import pitch_named, zones_from_notes
from scripts.soundfont_from_patch import zones_from_patch
from scripts.soundfont_writer import Zone, key_ranges, write_soundfont

PROGRAM = 40
TUNE_TOLERANCE_CENTS = 1.0  # the SoundFont format tunes in steps of a cent
DRY = RenderOptions(reverb=False, chorus=False)


@dataclass(frozen=True)
class Message:
    time_s: float
    message: bytes


def hz(key: float) -> float:
    return float(440 * 2 ** ((key - 69) / 12))


def tone(key: float, duration_s: float, sample_rate_hz: int, amplitude: float = 0.5) -> NDArray[np.float64]:
    time_s = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    return np.asarray(amplitude * np.sin(2 * np.pi * hz(key) * time_s))


def pcm(sound: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.round(sound * 32767).astype(np.int16)


def played(
    path: Path, key: int, velocity: int = 100, held_s: float = 1.0, duration_s: float = 1.0
) -> NDArray[np.float32]:
    messages = [
        Message(0.0, bytes([0xC0, PROGRAM])),
        Message(0.0, bytes([0x90, key, velocity])),
        Message(held_s, bytes([0x80, key, 0])),
    ]
    return render_events(messages, path, round(duration_s * SAMPLE_RATE_HZ), DRY)


def heard_key(sound: NDArray[np.float32]) -> float:
    """The MIDI pitch of the strongest partial, by a parabola through the logarithms of its bins."""
    spectrum = np.log(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 4 * len(sound))) + 1e-9)
    peak = int(spectrum.argmax())
    left, middle, right = spectrum[peak - 1 : peak + 2]
    place = peak + 0.5 * (left - right) / (left - 2 * middle + right)
    return float(69 + 12 * np.log2(place * SAMPLE_RATE_HZ / (4 * len(sound)) / 440))


def cents_off(sound: NDArray[np.float32], key: float) -> float:
    return 100 * abs(heard_key(sound) - key)


# -------------------------------------------------------------------------------- the writer


@pytest.fixture(scope="module")
def two_notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sine for keys to 65, and one that lies 30 cents too high for those from 66, at another rate."""
    path = tmp_path_factory.mktemp("fonts") / "two.sf2"
    low = Zone("low", pcm(tone(60, 1.2, 22050)), 22050, 60, keys=(0, 65))
    high = Zone("high", pcm(tone(72.3, 1.2, 44100)), 44100, 72.3, keys=(66, 127))
    write_soundfont(path, "Two notes", PROGRAM, [low, high], "made by a test")
    return path


@pytest.mark.parametrize("key", [55, 60, 65, 66, 72, 76])
def test_every_key_is_in_tune(two_notes: Path, key: int) -> None:
    assert cents_off(played(two_notes, key, duration_s=0.6), key) < TUNE_TOLERANCE_CENTS


def test_a_note_ends_when_its_key_is_let_go(two_notes: Path) -> None:
    sound = played(two_notes, 60, held_s=0.3)
    assert np.abs(sound[: round(0.3 * SAMPLE_RATE_HZ)]).max() > 0.01
    assert np.abs(sound[round(0.8 * SAMPLE_RATE_HZ) :]).max() < 1e-4


def test_a_loop_sounds_on_where_the_recording_ends(tmp_path: Path) -> None:
    rate_hz = 44000  # 440 Hz has whole periods of 100 frames, so the loop has no seam
    short = pcm(tone(69, 0.1, rate_hz))
    ends = {}
    for name, loop in (("once", None), ("looped", (1000, 4000))):
        zone = Zone("A4", short, rate_hz, 69, loop_frames=loop)
        write_soundfont(tmp_path / f"{name}.sf2", name, PROGRAM, [zone], "")
        ends[name] = played(tmp_path / f"{name}.sf2", 69)[SAMPLE_RATE_HZ // 2 :]
    assert np.abs(ends["once"]).max() < 1e-4
    assert cents_off(ends["looped"], 69) < TUNE_TOLERANCE_CENTS


def test_the_same_zones_give_the_same_bytes(two_notes: Path, tmp_path: Path) -> None:
    zone = Zone("A4", pcm(tone(69, 0.1, 8000)), 8000, 69)
    files = [tmp_path / name for name in ("a.sf2", "b.sf2")]
    for file in files:
        write_soundfont(file, "Same", PROGRAM, [zone], "odd")
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert struct.unpack_from("<I", first, 4)[0] == len(first) - 8


@pytest.mark.parametrize(("program", "n_zones", "reason"), [(128, 1, "program 128"), (0, 0, "no recordings")])
def test_what_is_no_preset_is_refused(tmp_path: Path, program: int, n_zones: int, reason: str) -> None:
    zones = [Zone("A4", pcm(tone(69, 0.1, 8000)), 8000, 69)] * n_zones
    with pytest.raises(ValueError, match=reason):
        write_soundfont(tmp_path / "no.sf2", "No", program, zones, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("roots", [[60], [60, 61], [36, 39, 42], [21, 108], [70, 40, 55]])
def test_every_key_goes_to_the_nearest_root(roots: Sequence[int]) -> None:
    ranges = key_ranges(roots)
    owners = [[root for root, (low, high) in ranges.items() if low <= key <= high] for key in range(128)]
    nearest = [[min(sorted(roots), key=lambda root: abs(root - key))] for key in range(128)]
    assert owners == nearest


# -------------------------------------------------------------------------------- recorded notes


@pytest.mark.parametrize(
    ("name", "pitch"), [("A4", 69), ("C-1", 0), ("Ds3", 51), ("D#3v9", 51), ("Eb3", 51), ("Cs8", 109)]
)
def test_notes_are_named(name: str, pitch: int) -> None:
    assert pitch_named(name) == pitch


def test_velocity_chooses_the_folder_and_silence_before_a_note_is_cut(tmp_path: Path) -> None:
    """Softly struck, this "instrument" sounds an octave higher: so it shows which folder was played."""
    silence = np.zeros(11025)
    for folder, octave_up, amplitude in (("soft", 12, 0.1), ("loud", 0, 0.4)):
        (tmp_path / folder).mkdir()
        for name, key in (("A3", 57), ("Ds4", 63)):
            sound = np.concatenate([silence, tone(key + octave_up, 1.0, 22050, amplitude)])
            soundfile.write(tmp_path / folder / f"{name}.wav", sound, 22050)
    zones = zones_from_notes([tmp_path / "soft", tmp_path / "loud"], [80, 127])
    path = tmp_path / "layers.sf2"
    write_soundfont(path, "Layers", PROGRAM, zones, "")
    assert cents_off(played(path, 57, velocity=80, duration_s=0.5), 69) < TUNE_TOLERANCE_CENTS
    assert cents_off(played(path, 57, velocity=81, duration_s=0.5), 57) < TUNE_TOLERANCE_CENTS
    peaks = [int(np.abs(zone.samples.astype(int)).max()) for zone in zones]
    assert peaks == pytest.approx([0.225 * 32767] * 2 + [0.9 * 32767] * 2, rel=0.01)
    onset_frames = [int(np.flatnonzero(np.abs(zone.samples) > 300)[0]) for zone in zones]
    assert max(onset_frames) < 0.01 * 22050


@pytest.mark.parametrize(
    ("files", "layers", "reason"),
    [
        ((), [127], "holds no recordings"),
        (("drum",), [127], "'drum' does not begin with the name of a note"),
        (("A4",), [80, 127], r"\[80, 127\] for 1 folders"),
        (("A4",), [100], r"\[100\] for 1 folders"),
        (("A4",), [127], "A4.wav is silent"),
    ],
)
def test_a_folder_that_cannot_be_used(
    tmp_path: Path, files: tuple[str, ...], layers: list[int], reason: str
) -> None:
    for name in files:
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(100), 8000)
    with pytest.raises(ValueError, match=reason):
        zones_from_notes([tmp_path], layers)


# -------------------------------------------------------------------------------- GUS patches


def patch_of(*samples: bytes) -> bytes:
    layer = bytearray(47)
    layer[6] = len(samples)
    return b"GF1PATCH110\0".ljust(129 + 63, b"\0") + bytes(layer) + b"".join(samples)


def patch_sample(key: int, keys: tuple[int, int], sound: NDArray[np.int16], mode: int) -> bytes:
    """16-bit, at 44000 Hz, looped from frame 1000 to 4000, with the fastest envelope."""
    head = bytearray(96)
    struct.pack_into("<IIIHIII", head, 8, sound.nbytes, 2000, 8000, 44000, *(0, 0, 0))
    struct.pack_into("<III", head, 22, *(round(1000 * hz(k)) for k in (keys[0] - 0.4, keys[1] + 0.4, key)))
    head[37:43] = bytes([63] * 6)
    head[43:49] = bytes([250] * 6)
    head[55] = mode
    return bytes(head) + sound.tobytes()


@pytest.mark.parametrize("mode", [1 | 4, 1 | 2 | 4, 1 | 4 | 8], ids=["signed", "unsigned", "there-and-back"])
def test_patches_are_played_in_tune_on_all_keys(tmp_path: Path, mode: int) -> None:
    # a cosine is mirrored without a seam
    sounds = [pcm(np.roll(tone(key, 0.1, 44000), -25 if key == 69 else 0)) for key in (69, 57)]
    sent = [sound ^ np.int16(-32768) if mode & 2 else sound for sound in sounds]
    data = patch_of(patch_sample(69, (64, 90), sent[0], mode), patch_sample(57, (40, 61), sent[1], mode))
    zones = zones_from_patch(data, plucked=False)
    assert [zone.keys for zone in zones] == [(0, 63), (64, 127)]
    path = tmp_path / "patch.sf2"
    write_soundfont(path, "Patch", PROGRAM, zones, "")
    assert cents_off(played(path, 69), 69) < TUNE_TOLERANCE_CENTS
    assert np.abs(played(path, 69)[SAMPLE_RATE_HZ // 2 :]).max() > 0.01


def test_plucked_patches_die_away(tmp_path: Path) -> None:
    data = patch_of(patch_sample(69, (0, 127), pcm(tone(69, 0.1, 44000)), 1 | 4))
    ends = []
    for plucked in (False, True):
        path = tmp_path / f"{plucked}.sf2"
        write_soundfont(path, "Pluck", PROGRAM, zones_from_patch(data, plucked), "")
        sound = played(path, 69, held_s=2.0, duration_s=2.0)
        ends.append(np.abs(sound[-4410:]).max() / np.abs(sound).max())
    assert ends[0] > 0.9
    assert 20 * np.log10(ends[1]) < -20


@pytest.mark.parametrize(
    ("kept_bytes", "reason"), [(0, "No Gravis"), (195, "cut off"), (300, "cut off"), (-1, "cut off")]
)
def test_what_is_no_patch_is_refused(kept_bytes: int, reason: str) -> None:
    data = patch_of(patch_sample(69, (0, 127), pcm(tone(69, 0.1, 44000)), 1 | 4))
    with pytest.raises(ValueError, match=reason):
        zones_from_patch(data[:kept_bytes], plucked=False)
