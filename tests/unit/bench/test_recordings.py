"""Rows about recordings: what they count, at sizes that take no time."""

from __future__ import annotations

import io

import pytest
import soundfile

from bench import recordings
from bench.measure import COST
from bench.recordings import ROWS, classified, explained, flac, peak_mb

SHORT_S = 6.0  # two windows


def test_files_are_as_long_as_they_say() -> None:
    with soundfile.SoundFile(io.BytesIO(flac(SHORT_S, 48_000, channels=2))) as reader:
        assert (reader.frames, reader.samplerate, reader.channels) == (288_000, 48_000, 2)


def test_tasks_say_how_many_windows_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    assert classified(flac(SHORT_S)) == explained(flac(SHORT_S)) == 2
    monkeypatch.setattr(recordings, "PART_S", 5.0)
    assert explained(flac(SHORT_S)) == 1


def test_a_window_of_a_long_recording_is_held_against_one_of_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LONG_S": SHORT_S, "N_CLIPS": 1, "N_REPEATS": 1}.items():
        monkeypatch.setattr(recordings, name, value)
    (row,) = (row for row in ROWS if row.name == "long")
    found = row.measure(COST)
    assert found.ratio == pytest.approx(found.measured_value / found.yardstick_value)
    assert found.unit == "ms a window"


def test_memory_is_that_of_a_fresh_process() -> None:
    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])  # all of it is really there
    assert 50.0 < peak_mb("classified", flac(SHORT_S)) < 390.0


def test_memory_is_measured_in_turns_and_told_as_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LONG_S": SHORT_S, "SHORT_S": 1.0}.items():
        monkeypatch.setattr(recordings, name, value)
    long, short = flac(SHORT_S), flac(1.0)
    peaks_mb = {long: iter((500.0, 540.0, 510.0)), short: iter((300.0, 310.0, 390.0))}
    turns: list[tuple[str, bytes]] = []

    def peak(task: str, data: bytes) -> float:
        turns.append((task, data))
        return next(peaks_mb[data])

    monkeypatch.setattr(recordings, "peak_mb", peak)
    (row,) = (row for row in ROWS if row.name == "long-memory")
    found = row.measure(row.ratio_of)
    assert turns == [("classified", long), ("classified", short)] * 3
    assert (found.measured_value, found.yardstick_value, found.unit) == (510.0, 310.0, "MB")
    assert found.ratio == 200.0
