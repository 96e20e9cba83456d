"""Scores: stems that add up to the rendering, notes as they are held, whose channel is whose."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pytest
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.media import parse_midi
from ml.recording import PEAK_CEILING, Recording, load_recording, midi_bank
from ml.score import midi_notes, midi_stems
from ml.synthesis.render import SAMPLE_RATE_HZ, render_events

EXAMPLE = Path("examples/violin-and-organ.mid")
TICKS_PER_S = 960  # mido's 480 ticks per beat at 120 beats per minute
FAINT_DB = -55.0  # 16-bit steps, and voices that FluidSynth ends a little earlier: heard beneath no music
FLOAT32 = 1e-6  # of full scale: samples of two or three stems summed in another order
VIOLIN, TRUMPET, BANJO, DRUMS = 40, 56, 105, 9

Message = tuple[float, mido.Message]


def midi_file(*messages: Message) -> bytes:
    """A file of one track from messages at their seconds."""
    track = mido.MidiTrack()
    last_tick = 0
    for time_s, message in sorted(messages, key=lambda each: each[0]):
        tick = round(time_s * TICKS_PER_S)
        track.append(message.copy(time=tick - last_tick))
        last_tick = tick
    file, buffer = mido.MidiFile(type=0, tracks=[track]), io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def note(channel: int, pitch: int, start_s: float, end_s: float, velocity: int = 90) -> list[Message]:
    return [
        (start_s, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)),
        (end_s, mido.Message("note_off", channel=channel, note=pitch)),
    ]


def program(channel: int, number: int, time_s: float = 0.0) -> Message:
    return (time_s, mido.Message("program_change", channel=channel, program=number))


def control(channel: int, number: int, value: int, time_s: float) -> Message:
    return (time_s, mido.Message("control_change", channel=channel, control=number, value=value))


def rendered(data: bytes) -> Recording:
    return load_recording(data, sample_rate_hz=SAMPLE_RATE_HZ)


def level_db(samples: NDArray[np.floating], whole: NDArray[np.floating]) -> float:
    """Root mean square level relative to the whole."""
    ratio = np.square(samples, dtype=np.float64).mean() / np.square(whole, dtype=np.float64).mean()
    return float(10.0 * np.log10(ratio))


def test_the_stems_of_the_vocabulary_add_up_to_the_rendering() -> None:
    data = EXAMPLE.read_bytes()
    recording = rendered(data)
    stems = midi_stems(data, recording)
    assert [stem.instrument for stem in stems] == ["Hammond Organ", "Violin"]
    residual = recording.samples - sum(stem.recording.samples for stem in stems)
    assert level_db(residual, recording.samples) < FAINT_DB
    total = residual + sum(stem.recording.samples for stem in stems)
    np.testing.assert_allclose(total, recording.samples, atol=FLOAT32)
    assert min(level_db(stem.recording.samples, recording.samples) for stem in stems) > -20.0


def test_what_others_play_is_left_over() -> None:
    """A violin beside a banjo and drums: what its stem leaves is what these sound like without it."""
    others = [program(1, BANJO), *note(1, 55, 0.2, 0.8), *note(DRUMS, 38, 0.5, 0.6)]
    data = midi_file(program(0, VIOLIN), *note(0, 69, 0.0, 0.7), *others)
    recording = rendered(data)
    (stem,) = midi_stems(data, recording)
    assert stem.instrument == "Violin"
    alone = render_events(parse_midi(midi_file(*others)).events, midi_bank(None), len(recording.samples))
    residual = recording.samples - stem.recording.samples
    assert level_db(residual, recording.samples) > -10.0
    assert level_db(residual - alone * recording.gain, recording.samples) < FAINT_DB


def test_a_channel_that_changes_its_program_plays_two_instruments() -> None:
    data = midi_file(
        program(0, VIOLIN), *note(0, 69, 0.0, 0.4), program(0, TRUMPET, 0.5), *note(0, 69, 0.5, 0.9)
    )
    recording = rendered(data)
    stems = {stem.instrument: stem.recording.samples for stem in midi_stems(data, recording)}
    assert stems.keys() == {"Violin", "Trumpet"}
    assert not np.abs(stems["Trumpet"][: round(0.45 * SAMPLE_RATE_HZ)]).max() > 1e-4
    assert level_db(recording.samples - sum(stems.values()), recording.samples) < FAINT_DB
    first, second = midi_notes(data)
    assert (first.instrument, second.instrument) == ("Violin", "Trumpet")
    times_s = [first.start_s, first.end_s, second.start_s, second.end_s]
    assert times_s == pytest.approx([0.0, 0.4, 0.5, 0.9])


def test_another_bank_is_no_instrument_of_the_vocabulary() -> None:
    data = midi_file(control(0, 0, 8, 0.0), program(0, VIOLIN, 0.01), *note(0, 69, 0.1, 0.4))
    assert [each.instrument for each in midi_notes(data)] == [None]
    assert midi_stems(data, rendered(data)) == ()


def test_a_channel_without_a_program_plays_the_piano() -> None:
    data = midi_file(*note(3, 60, 0.0, 0.4))
    (stem,) = midi_stems(data, rendered(data))
    assert stem.instrument == "Acoustic Grand Piano"


def test_stems_share_the_gain_of_the_rendering() -> None:
    """A rendering that is scaled down has its stems scaled alike; so loud a file as it takes is made here."""
    loud = [n for pitch in range(36, 96) for n in note(0, pitch, 0.0, 0.4, 127)]
    data = midi_file(program(0, TRUMPET), *loud, program(1, VIOLIN), *note(1, 90, 0.5, 0.9))
    recording = rendered(data)
    assert recording.gain < 1.0
    assert np.abs(recording.samples).max() == pytest.approx(PEAK_CEILING)
    stems = midi_stems(data, recording)
    late = slice(round(0.8 * SAMPLE_RATE_HZ), round(0.9 * SAMPLE_RATE_HZ))
    total = sum(stem.recording.samples for stem in stems)
    assert level_db((recording.samples - total)[late], recording.samples[late]) < FAINT_DB
    assert all(stem.recording.gain == recording.gain for stem in stems)
    half = Recording(recording.samples, SAMPLE_RATE_HZ, gain=recording.gain / 2.0)
    for whole, halved in zip(stems, midi_stems(data, half), strict=True):
        np.testing.assert_allclose(halved.recording.samples * 2.0, whole.recording.samples, atol=FLOAT32)


def test_stems_are_made_as_far_as_they_are_needed() -> None:
    data = EXAMPLE.read_bytes()
    recording = rendered(data)
    reported: list[tuple[str, int, int]] = []
    whole = midi_stems(data, recording)
    cut = midi_stems(data, recording, until_s=1.0, on_progress=lambda *report: reported.append(report))
    assert list(dict.fromkeys(reported)) == [("rendering stems", 0, 2), ("rendering stems", 1, 2)]
    for short, long in zip(cut, whole, strict=True):
        assert len(short.recording.samples) == len(recording.samples)
        assert not short.recording.samples[SAMPLE_RATE_HZ:].any()
        np.testing.assert_array_equal(
            short.recording.samples[:SAMPLE_RATE_HZ], long.recording.samples[:SAMPLE_RATE_HZ]
        )


def test_rendering_can_be_stopped_within_a_stem() -> None:
    """Whoever cancels waits for a second of sound, not for a whole stem."""
    data = midi_file(program(0, VIOLIN), *note(0, 69, 0.0, 9.0))
    recording = rendered(data)
    calls: list[int] = []

    def stopping(_stage: str, done: int, _total: int) -> None:
        calls.append(done)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        midi_stems(data, recording, on_progress=stopping)
    assert calls == [0, 0, 0]


def test_a_recording_at_another_rate_is_refused() -> None:
    other = Recording(np.zeros(100, dtype=np.float32), 48_000)
    with pytest.raises(InvalidRequestError, match="44100 Hz, but the recording is at 48000 Hz"):
        midi_stems(EXAMPLE.read_bytes(), other)


def test_notes_end_with_the_key_the_pedal_or_the_piece() -> None:
    data = midi_file(
        program(0, 0),
        control(0, 64, 127, 0.5),
        *note(0, 60, 0.0, 0.25),  # before the pedal
        *note(0, 62, 0.5, 0.75),  # held by it
        *note(0, 64, 0.5, 1.0),
        control(0, 64, 0, 1.25),
        (1.5, mido.Message("note_on", channel=0, note=65, velocity=80)),
        (1.75, mido.Message("note_on", channel=0, note=65, velocity=80)),  # the same key again
        control(0, 123, 0, 2.0),  # all notes off
        *note(DRUMS, 38, 0.0, 1.0),
    )
    notes = midi_notes(data)
    assert [each.pitch for each in notes if each.is_drum] == [38]
    found = [(each.pitch, each.start_s, each.end_s) for each in notes if not each.is_drum]
    assert found == [
        (60, 0.0, 0.25),
        (62, 0.5, 1.25),
        (64, 0.5, 1.25),
        (65, 1.5, 1.75),
        (65, 1.75, 2.0),
    ]


def test_the_pedal_holds_to_the_end_of_the_piece() -> None:
    data = midi_file(program(0, 0), control(0, 64, 127, 0.0), *note(0, 60, 0.0, 0.5), *note(1, 60, 1.0, 2.0))
    assert [(each.start_s, each.end_s) for each in midi_notes(data)] == [(0.0, 2.0), (1.0, 2.0)]
