"""What comes out of a sandbox is what would be made without one."""

import time

import numpy as np
import pytest

from ml import score
from ml.check import StemFile, read_stems
from ml.media import MediaInfo, MediaLimits, NonFiniteSamplesError, TooLongError, UnknownFormatError
from ml.media import inspect_media as inspected_here
from ml.recording import load_recording
from ml.sandbox import DecoderDiedError, Sandbox, sound, structure
from ml.sandbox.sandbox import Reply, Request
from ml.synthesis.soundfonts import MissingSoundFontError
from tests.integration import sounds
from tests.unit.ml.sandbox.hostile_tasks import NONSENSE

RATE_HZ = sounds.RATE_HZ
FILES = {
    "wav": sounds.audio_file(sounds.tone(1.0)),
    "float": sounds.audio_file(sounds.tone(1.0), subtype="FLOAT"),
    "flac": sounds.audio_file(sounds.tone(1.0), kind="FLAC"),
    "ogg": sounds.audio_file(sounds.tone(1.0), kind="OGG", subtype="VORBIS"),
    "mp3": sounds.audio_file(sounds.tone(1.0), kind="MP3", subtype="MPEG_LAYER_III"),
    "aiff": sounds.audio_file(sounds.tone(1.0), kind="AIFF"),
    "midi": sounds.midi_file(),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_recording_is_the_same(sandbox: Sandbox, data: bytes) -> None:
    here, there = (
        load_recording(data, sample_rate_hz=RATE_HZ),
        sound.load_recording(sandbox, data, sample_rate_hz=RATE_HZ),
    )
    np.testing.assert_array_equal(here.samples, there.samples)
    assert (here.gain, here.sample_rate_hz) == (there.gain, there.sample_rate_hz)
    assert structure.inspect(sandbox, data) == inspected_here(data)


def test_the_longest_recording_is_the_same(sandbox: Sandbox) -> None:
    data = sounds.silent_flac(600)
    samples = sound.load_recording(sandbox, data, sample_rate_hz=RATE_HZ).samples
    assert samples.shape == (600 * RATE_HZ,)
    assert samples.base is None  # no more memory is held than there is sound
    assert not samples.any()


def test_the_parts_and_the_notes_of_midi_are_the_same(sandbox: Sandbox) -> None:
    data = FILES["midi"]
    recording = load_recording(data, sample_rate_hz=RATE_HZ)
    for until_s in (None, 0.5):
        here = score.midi_stems(data, recording, until_s=until_s)
        there = sound.midi_stems(sandbox, data, recording, until_s=until_s)
        assert [stem.instrument for stem in here] == [stem.instrument for stem in there] == ["Violin"]
        np.testing.assert_array_equal(here[0].recording.samples, there[0].recording.samples)
    assert sound.midi_notes(sandbox, data) == score.midi_notes(data)


def test_stems_of_a_check_are_the_same(sandbox: Sandbox) -> None:
    files = [StemFile(name, FILES[name]) for name in ("wav", "flac")]

    def decode(
        data: bytes, rate_hz: int, limits: MediaLimits
    ) -> tuple[MediaInfo, np.ndarray[tuple[int], np.dtype[np.float32]]]:
        return sound.decoded(sandbox, data, rate_hz, limits)

    here, there = (
        read_stems(files, sample_rate_hz=RATE_HZ),
        read_stems(files, sample_rate_hz=RATE_HZ, decode=decode),
    )
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.recording.samples, other.recording.samples)


def test_a_stem_that_is_midi_is_told_and_not_played(sandbox: Sandbox) -> None:
    info, samples = sound.decoded(sandbox, FILES["midi"], RATE_HZ, MediaLimits())
    assert (info.format, len(samples)) == ("midi", 0)


def test_progress_of_a_rendering_comes_through(sandbox: Sandbox) -> None:
    told: list[tuple[str, int, int]] = []
    data = sounds.midi_file(length=480 * 4)
    sound.load_recording(
        sandbox, data, sample_rate_hz=RATE_HZ, on_progress=lambda *report: told.append(report)
    )
    assert told
    assert {stage for stage, *_ in told} == {"decoding"}
    assert told[-1][1] == told[-1][2] == 7


def test_progress_is_told_now_and_then(sandbox: Sandbox) -> None:
    told: list[float] = []
    data = sounds.midi_file(tuple(range(30, 90)) * 100, length=1)  # 12,000 events in six seconds
    sound.load_recording(
        sandbox, data, sample_rate_hz=RATE_HZ, on_progress=lambda *_: told.append(time.monotonic())
    )
    assert len(told) < 3 + 10 * (told[-1] - told[0] + 1.0)


def test_errors_are_the_same(sandbox: Sandbox) -> None:
    with pytest.raises(UnknownFormatError):
        structure.inspect(sandbox, b"This is a text.")
    with pytest.raises(TooLongError) as caught:
        structure.inspect(sandbox, FILES["wav"], MediaLimits(max_duration_s=0.5))
    assert caught.value.extra == {"duration_s": 1.0, "max_duration_s": 0.5}
    with pytest.raises(NonFiniteSamplesError, match="nan in channel 1"):
        sound.load_recording(sandbox, sounds.nan_file(), sample_rate_hz=RATE_HZ)
    with pytest.raises(MissingSoundFontError, match="NoSuchBank"):
        sound.load_recording(sandbox, FILES["midi"], sample_rate_hz=RATE_HZ, soundfont="NoSuchBank")


def test_whether_notes_sound(sandbox: Sandbox) -> None:
    assert structure.sounds_between(sandbox, FILES["midi"], 0.0, 1.0)
    assert not structure.sounds_between(sandbox, FILES["midi"], 5.0, 9.0)


@pytest.mark.parametrize("value", NONSENSE.values(), ids=NONSENSE)
def test_results_that_cannot_be_are_refused(
    value: object, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    def answer(_request: Request, **_: object) -> Reply:
        return Reply(value, (np.zeros(3, np.float32),))

    monkeypatch.setattr(sandbox, "call", answer)
    for ask in (
        lambda: structure.inspect(sandbox, b""),
        lambda: structure.sounds_between(sandbox, b"", 0.0, 1.0),
        lambda: sound.load_recording(sandbox, b"", sample_rate_hz=RATE_HZ),
        lambda: sound.midi_notes(sandbox, b""),
    ):
        with pytest.raises(DecoderDiedError) as caught:
            ask()
        assert caught.value.extra == {"cause": "garbled"}
