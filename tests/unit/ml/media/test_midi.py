"""MIDI files: what is played and when, and every fault by its name."""

import contextlib
import io
import random
import time
from collections.abc import Callable

import mido
import pytest

from ml.media import (
    InvalidMidiError,
    MediaError,
    MediaInfo,
    MediaLimits,
    MidiEvent,
    NoNotesError,
    TooLongError,
    TooManyBytesError,
    TooManyEventsError,
    TooManyNotesError,
    TooManyTracksError,
    TruncatedMidiError,
    UnsupportedMidiError,
    inspect_media,
    parse_midi,
)
from tests.unit.ml.media.files import END_OF_TRACK, midi, midi_header, midi_track, number

# Two quarter notes of C and E, half a second each.
MELODY = b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x40\x00\x90\x40\x40\x83\x60\x80\x40\x40"
NOTE = b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x40"
DOUBLE_SPEED = b"\x00\xff\x51\x03\x03\xd0\x90"
MAX_CPU_S = 2.0
TIME_ERROR_S = 1e-6


def messages(data: bytes) -> list[tuple[float, bytes]]:
    return [(event.time_s, event.message) for event in parse_midi(data).events]


def test_notes_in_seconds() -> None:
    assert messages(midi(MELODY)) == [
        (0.0, b"\x90\x3c\x40"),
        (0.5, b"\x80\x3c\x40"),
        (0.5, b"\x90\x40\x40"),
        (1.0, b"\x80\x40\x40"),
    ]
    score = parse_midi(midi(MELODY))
    assert (score.duration_s, score.n_notes) == (1.0, 2)
    assert score.events[0] == MidiEvent(time_s=0.0, message=b"\x90\x3c\x40")
    assert inspect_media(midi(MELODY)) == MediaInfo("midi", 1.0, None, None)


@pytest.mark.parametrize(
    ("start_s", "end_s", "sounds"),
    [
        (0.0, 0.1, True),
        (0.2, 0.3, True),  # within a note
        (0.4, 0.7, True),  # across two
        (0.5, 0.6, True),  # from where one begins
        (0.5, 2.5, True),
        (1.0, 1.5, False),  # the pause, from where the last note ends
        (1.2, 1.3, False),
        (1.2, 1.6, True),
        (2.0, 9.0, False),
    ],
)
def test_whether_anything_sounds_in_a_range(start_s: float, end_s: float, sounds: bool) -> None:
    after_a_pause = b"\x83\x60\x90\x43\x40\x83\x60\x80\x43\x40"  # half a second later, for half a second
    assert parse_midi(midi(MELODY + after_a_pause)).sounds_between(start_s, end_s) is sounds


@pytest.mark.parametrize(("start_s", "sounds"), [(0.6, True), (1.1, False), (1.9, False)])
def test_a_pedal_holds_notes(start_s: float, sounds: bool) -> None:
    pedal_down, pedal_up = b"\x00\xb0\x40\x7f", b"\x83\x60\xb0\x40\x00"  # half a second after the key
    last_event = b"\x83\x60\xb0\x07\x40\x83\x60\xb0\x07\x40"  # two more halves
    score = parse_midi(midi(pedal_down + NOTE + pedal_up + last_event))
    assert score.duration_s == 2.0
    assert score.sounds_between(start_s, start_s + 0.2) is sounds


def test_a_pedal_that_stays_down_holds_to_the_end() -> None:
    score = parse_midi(midi(b"\x00\xb0\x40\x7f" + NOTE + b"\x83\x60\xb0\x07\x40"))
    assert score.sounds_between(0.8, 0.9)
    assert not score.sounds_between(1.0, 2.0)


def test_the_tempo_may_change_within_a_note() -> None:
    slower = b"\x81\x70\xff\x51\x03\x0f\x42\x40"  # after 240 ticks: one quarter note per second
    data = midi(b"\x00\x90\x3c\x40" + slower + b"\x81\x70\x80\x3c\x40")
    assert messages(data)[-1] == (0.25 + 0.5, b"\x80\x3c\x40")


def test_the_tempo_of_the_first_track_holds_for_all() -> None:
    data = midi_header(kind=1, n_tracks=3) + midi_track(DOUBLE_SPEED + END_OF_TRACK)
    data += midi_track(NOTE + END_OF_TRACK) + midi_track(
        b"\x00\x91\x3c\x40\x83\x60\x81\x3c\x40" + END_OF_TRACK
    )
    assert parse_midi(data).duration_s == 0.25
    assert [event.time_s for event in parse_midi(data).events] == [0.0, 0.0, 0.25, 0.25]


def test_ticks_per_quarter_note() -> None:
    assert parse_midi(midi(MELODY, division=96)).duration_s == 5.0


def test_what_a_synthesiser_needs_is_kept_and_the_rest_dropped() -> None:
    kept = [
        b"\xc3\x28",
        b"\xb3\x07\x64",
        b"\xe3\x00\x50",
        b"\xa3\x3c\x20",
        b"\xd3\x30",
        b"\x99\x24\x7f",
        b"\x89\x24\x40",
    ]
    dropped = [b"\xf0\x03\x7e\x7f\xf7", b"\xf7\x02\x01\x02", b"\xff\x01\x04text", b"\xff\x59\x02\x00\x00"]
    data = midi(b"".join(b"\x01" + message for message in dropped + kept))
    assert [message for _, message in messages(data)] == kept


def test_running_status_goes_on_after_meta_events() -> None:
    data = midi(b"\x00\x90\x3c\x40\x83\x60\x3c\x00\x00\xff\x01\x01x\x00\x40\x40\x83\x60\x40\x00")
    assert messages(data) == messages(midi(MELODY))


def test_a_note_on_without_velocity_is_a_note_off() -> None:
    assert messages(midi(b"\x00\x95\x3c\x40\x83\x60\x95\x3c\x00"))[-1] == (0.5, b"\x85\x3c\x40")


def test_a_note_that_is_never_released_sounds_to_the_end() -> None:
    data = midi(b"\x00\x90\x3c\x40", end=number(4_800) + b"\xff\x2f\x00")
    assert messages(data) == [(0.0, b"\x90\x3c\x40"), (5.0, b"\x80\x3c\x40")]
    assert parse_midi(data).duration_s == 5.0


def test_a_note_that_is_never_released_sounds_for_a_second_at_least() -> None:
    score = parse_midi(midi(MELODY + b"\x00\x92\x43\x40"))
    assert score.events[-1] == MidiEvent(2.0, b"\x82\x43\x40")
    assert score.duration_s == 2.0


@pytest.mark.parametrize("controller", [0x78, 0x7B, 0x7E])
def test_controllers_release_notes(controller: int) -> None:
    data = midi(b"\x00\x90\x3c\x40\x83\x60\xb0" + bytes([controller, 0]))
    assert parse_midi(data).duration_s == 0.5
    other_channel = midi(b"\x00\x91\x3c\x40\x83\x60\xb0" + bytes([controller, 0]))
    assert parse_midi(other_channel).duration_s == 1.0


def test_the_end_of_the_track_counts() -> None:
    assert parse_midi(midi(MELODY, end=number(960) + b"\xff\x2f\x00")).duration_s == 2.0
    assert parse_midi(midi(MELODY, end=b"")).duration_s == 1.0


def test_drum_hits_without_length() -> None:
    hits = b"\x00\x99\x24\x7f\x00\x89\x24\x40\x83\x60\x99\x26\x7f\x00\x89\x26\x40"
    assert parse_midi(midi(hits)).duration_s == 0.5


def test_chunks_that_are_no_tracks_are_skipped() -> None:
    data = midi_header() + b"XFIH\0\0\0\x03odd" + midi_track(MELODY + END_OF_TRACK) + b"trailing"
    assert parse_midi(data).n_notes == 2
    longer_header = b"MThd\0\0\0\x08" + midi_header()[8:] + b"xx" + midi_track(MELODY + END_OF_TRACK)
    assert parse_midi(longer_header).n_notes == 2


@pytest.mark.parametrize("seed", range(5))
def test_times_agree_with_mido_as_it_plays(seed: int) -> None:
    choose = random.Random(seed)
    file = mido.MidiFile(type=1, ticks_per_beat=choose.choice([24, 96, 480, 960]))
    for channel in range(4):
        track = mido.MidiTrack()
        file.tracks.append(track)
        for _ in range(50):
            delta = choose.choice([0, 1, 7, 100, 481])
            note = choose.randrange(128)
            track.append(
                choose.choice(
                    [
                        mido.Message("note_on", channel=channel, note=note, velocity=80, time=delta),
                        mido.Message("note_off", channel=channel, note=note, velocity=64, time=delta),
                        mido.Message("control_change", channel=channel, control=7, value=note, time=delta),
                        mido.MetaMessage("set_tempo", tempo=choose.randrange(100_000, 2_000_000), time=delta),
                        mido.MetaMessage("text", text="x", time=delta),
                    ]
                )
            )
        track.append(mido.Message("control_change", channel=channel, control=123))
    target = io.BytesIO()
    file.save(file=target)
    expected, time_s = [], 0.0
    for message in file:
        time_s += message.time
        if not message.is_meta:
            expected.append((time_s, bytes(message.bytes())))
    found = messages(target.getvalue())
    assert [message for _, message in found] == [message for _, message in expected]
    assert [at for at, _ in found] == pytest.approx([at for at, _ in expected], abs=TIME_ERROR_S)


def test_no_notes() -> None:
    with pytest.raises(NoNotesError, match="has no notes"):
        inspect_media(midi(b"\x00\xc0\x05\x83\x60\xb0\x07\x40"))
    with pytest.raises(NoNotesError, match="has no notes"):
        inspect_media(midi(b"\x00\x90\x3c\x00\x83\x60\x80\x3c\x40"))
    with pytest.raises(NoNotesError, match=r"lasts 0 s: all of its notes \(1\) end as they begin"):
        inspect_media(midi(b"\x00\x90\x3c\x40\x00\x80\x3c\x40"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (midi(MELODY, division=0), "0 ticks per quarter note"),
        (midi_header(n_tracks=0), "0 tracks"),
        (midi_header(kind=3) + midi_track(MELODY), "no MIDI file of type 3"),
        (b"MThd\0\0\0\x04\0\0\0\x01" + midi_track(MELODY), "header of the MIDI file has 4 bytes"),
        (midi_header() + b"XXXX\0\0\0\0" * 20_000, "more than 10000 chunks"),
        (midi(b"\x00\x3c\x40"), "Track 1 of the MIDI file has no event at its byte 1"),
        (midi(b"\x00\xf0\x01\xf7\x00\x3c\x40"), "no event at its byte 5"),
        (midi(b"\x00\xf4"), "no event at its byte 2"),
        (midi(b"\x80\x80\x80\x80\x00\x90\x3c\x40"), "longer than 4 bytes"),
        (midi(b"\x00\x90\x3c\x80" + NOTE), "data byte must be in range 0..127"),
        (midi(b"\x00\xff\x59\x02\x09\x00" + NOTE), "Could not decode key"),
        (midi(b"\x00\xff\x51\x01\x00" + NOTE), "cannot be read"),
        (midi(b"\x00\xff\x58\x00" + NOTE), "cannot be read"),
        (midi(b"\x00\xff\x54\x05\xff\xff\xff\xff\xff" + NOTE), "cannot be read"),
    ],
)
def test_faults_are_named(data: bytes, message: str) -> None:
    with pytest.raises(InvalidMidiError, match=message):
        inspect_media(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (midi(MELODY, division=0xE728), "SMPTE frames"),
        (midi_header(kind=2) + midi_track(MELODY), "type 2"),
    ],
)
def test_kinds_that_are_not_read_are_named(data: bytes, message: str) -> None:
    with pytest.raises(UnsupportedMidiError, match=message):
        inspect_media(data)


@pytest.mark.parametrize("cut", range(4, len(midi(MELODY))))
def test_every_cut_is_refused(cut: int) -> None:
    with pytest.raises(TruncatedMidiError, match="cut off"):
        inspect_media(midi(MELODY)[:cut])


def test_other_files_are_no_midi() -> None:
    with pytest.raises(InvalidMidiError, match="begins with 'MThd', not with 'RIFX'"):
        parse_midi(b"RIFX\0\0\0\6WAVEfmt ")


def test_cut_off_in_other_ways() -> None:
    with pytest.raises(TruncatedMidiError, match="promises 2 tracks and has 1"):
        inspect_media(midi_header(kind=1, n_tracks=2) + midi_track(MELODY))
    with pytest.raises(TruncatedMidiError, match="Track 1 of the MIDI file ends within an event"):
        inspect_media(midi_header() + midi_track(MELODY[:-1]))
    with pytest.raises(TruncatedMidiError, match="Track 1 of the MIDI file ends within an event"):
        inspect_media(midi_header() + midi_track(b"\x00\xff\x01\x7ftext"))
    with pytest.raises(TruncatedMidiError, match="'MTrk' chunk has 18 of 4294967295 bytes"):
        inspect_media(midi_header() + midi_track(MELODY, size=0xFFFFFFFF))


def test_thirty_three_bytes_that_last_for_days() -> None:
    data = midi(b"\x00\x90\x3c\x40", end=b"\xff\xff\xff\x7f\xff\x2f\x00")
    assert len(data) == 33
    with pytest.raises(TooLongError, match=r"lasts 279620.266 s; the limit is 600 s"):
        inspect_media(data)


def test_limits() -> None:
    chord = b"".join(bytes([0, 0x90, key, 64]) for key in range(60, 64)) + number(480) + b"\x80\x3c\x40"
    assert parse_midi(midi(chord), MediaLimits(max_midi_notes_at_once=4)).n_notes == 4
    with pytest.raises(TooManyNotesError, match=r"holds 4 notes at once at 0.000 s; the limit is 3"):
        parse_midi(midi(chord), MediaLimits(max_midi_notes_at_once=3))
    assert parse_midi(midi(MELODY), MediaLimits(max_midi_events=5)).n_notes == 2
    with pytest.raises(TooManyEventsError, match="more than 4 events"):
        parse_midi(midi(MELODY), MediaLimits(max_midi_events=4))
    with pytest.raises(TooManyTracksError, match="257 tracks; the limit is 256"):
        parse_midi(midi_header(kind=1, n_tracks=257) + midi_track(MELODY) * 257)
    with pytest.raises(TooManyBytesError, match="500001 bytes; the limit is 500000"):
        parse_midi(midi(MELODY).ljust(500_001, b"\0"))
    with pytest.raises(TooLongError, match=r"1.000 s; the limit is 0.9 s"):
        parse_midi(midi(MELODY), MediaLimits(max_duration_s=0.9))


def test_events_of_all_tracks_are_counted_together() -> None:
    data = midi_header(kind=1, n_tracks=2) + midi_track(MELODY) * 2
    assert parse_midi(data, MediaLimits(max_midi_events=8)).n_notes == 4
    with pytest.raises(TooManyEventsError):
        parse_midi(data, MediaLimits(max_midi_events=7))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "50 MB": lambda: midi(b"\x00\x90" + b"\x3c\x40\x00" * 16_600_000),
    "running status": lambda: midi(b"\x00\x90" + b"\x3c\x40\x00" * 100_000),
    "100,000 notes": lambda: midi(NOTE * 50_000),
    "texts": lambda: midi(b"\x00\xff\x01\x00" * 49_999),
    "sysex": lambda: midi(b"\x00\xf0" + number(280_001) + bytes(280_000) + b"\xf7" + NOTE * 24_000),
    "a number without end": lambda: midi(b"\x80" * 400_000),
    "tempo changes": lambda: midi(DOUBLE_SPEED * 49_990 + NOTE),
    "all keys released together": lambda: midi(
        b"".join(bytes([0, 0x90 | index >> 6, index & 63, 64]) for index in range(256))
        + b"\x00\xbf\x7b\x00" * 49_000
    ),
    "empty chunks": lambda: midi_header() + b"ABCD\0\0\0\0" * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little(name: str) -> None:
    data = HOSTILE[name]()
    started = time.process_time()
    with contextlib.suppress(MediaError):
        inspect_media(data)
    assert time.process_time() - started < MAX_CPU_S
