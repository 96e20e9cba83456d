"""Melody sources: phrases of a user's files and of music21's scores, and programs that invent melodies."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import time
from itertools import pairwise
from pathlib import Path

import mido
import pytest

from ml.instruments import INSTRUMENTS
from ml.synthesis.instantiate import instantiate
from ml.synthesis.melodies import corpora, generator
from ml.synthesis.melodies.corpora import MissingCorpusError
from ml.synthesis.melodies.phrases import Part, read_parts
from ml.synthesis.melodies.source import MelodySourceError
from ml.synthesis.mix import render_clip
from ml.synthesis.plan import ClipPlan, StemPlan
from ml.synthesis.recipe import Recipe, parse_recipe
from ml.synthesis.soundfonts import find_bank
from tests.unit.faults import faults_of

PLAYER = {instrument.name: instrument for instrument in INSTRUMENTS}
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)

# What an external generator looks like: it writes a MIDI file that its seed decides, and counts its runs.
INVENT = """
import pathlib, random, sys
import mido
seed, out, duration_s, log = int(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
with open(log, "a") as runs:
    runs.write(f"{seed}\\n")
dice = random.Random(seed)
track = mido.MidiTrack()
for _ in range(int(4 * duration_s)):
    pitch = dice.randrange(48, 84)
    track.append(mido.Message("note_on", note=pitch, velocity=80, time=0))
    track.append(mido.Message("note_off", note=pitch, time=240))
file = mido.MidiFile(tracks=[track])
file.save(out / "melody.mid")
"""


@pytest.fixture(autouse=True)
def nothing_was_read_before() -> None:
    generator.run_command.cache_clear()


def midi_of(*voices: tuple[int, tuple[int, ...]], length_ticks: int = 240) -> bytes:
    """One track for each (channel, pitches); each note lasts a quarter of a second."""
    file = mido.MidiFile(ticks_per_beat=480)
    for channel, pitches in voices:
        track = mido.MidiTrack()
        for pitch in pitches:
            track.append(mido.Message("note_on", channel=channel, note=pitch, velocity=90, time=0))
            track.append(mido.Message("note_off", channel=channel, note=pitch, time=length_ticks))
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def recipe_of(melody: str, n_clips: int = 60) -> Recipe:
    return parse_recipe(f"{{name: a, seed: 6, n_clips: {n_clips}, clip_duration_s: 2.0, melody: {melody}}}")


def stems_of(recipe: Recipe) -> list[StemPlan]:
    return [stem for plan in instantiate(recipe) for stem in plan.stems]


def intervals(stem: StemPlan) -> list[int]:
    return [after.pitch - before.pitch for before, after in pairwise(stem.notes)]


def test_a_phrase_is_moved_as_a_whole_into_the_instruments_range(tmp_path: Path) -> None:
    data = midi_of((0, SCALE))
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "scale.MID").write_bytes(data)
    steps = [after - before for before, after in pairwise(SCALE)]
    tops = set()
    for stem in stems_of(recipe_of(f"{{source: phrases, folder: {tmp_path}}}")):
        player = PLAYER[stem.instrument]
        assert all(player.lowest_pitch <= note.pitch <= player.highest_pitch for note in stem.notes)
        found = intervals(stem)
        assert any(steps[k : k + len(found)] == found for k in range(len(SCALE)))
        assert stem.notes[0].start_s == 0.0
        assert {note.velocity for note in stem.notes} == {90}
        assert stem.melody_sha256 == hashlib.sha256(data).hexdigest()
        tops.add(max(note.pitch for note in stem.notes))
    assert len(tops) > 20  # transposed to everywhere


def test_what_does_not_fit_is_moved_by_octaves(tmp_path: Path) -> None:
    (tmp_path / "wide.mid").write_bytes(midi_of((0, (24, 60, 96))))
    melody = f"{{source: phrases, folder: {tmp_path}, pitch_range: [60, 72], velocity: [20, 60]}}"
    for stem in stems_of(recipe_of(melody)):
        assert all(60 <= note.pitch <= 72 for note in stem.notes)
        assert all(step % 12 == 0 for step in intervals(stem))
        assert all(20 <= note.velocity <= 60 for note in stem.notes)


def test_chords_are_thinned_to_what_a_player_can_hold(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    for _ in range(4):
        track += [mido.Message("note_on", note=pitch, velocity=70, time=0) for pitch in (60, 64, 67, 72)]
        track += [
            mido.Message("note_off", note=pitch, time=480 if pitch == 60 else 0) for pitch in (60, 64, 67, 72)
        ]
    file.tracks.append(track)
    file.save(tmp_path / "chords.mid")
    for stem in stems_of(recipe_of(f"{{source: phrases, folder: {tmp_path}}}")):
        sizes: dict[float, int] = {}
        for note in stem.notes:
            sizes[note.start_s] = sizes.get(note.start_s, 0) + 1
        assert set(sizes.values()) == {min(4, PLAYER[stem.instrument].max_voices)}


def test_drums_are_no_part_and_channels_are_parts_of_their_own() -> None:
    parts = read_parts(midi_of((0, SCALE), (3, SCALE[:4]), (9, (36, 38))), "folder", "song.mid")
    assert [len(part.notes) for part in parts] == [8, 4]
    assert read_parts(midi_of((9, (36, 38))), "folder", "drums.mid") == []


def test_folders_without_melodies_are_named(tmp_path: Path) -> None:
    with pytest.raises(MelodySourceError, match=r"melody\.folder: .*nowhere is not a folder"):
        stems_of(recipe_of(f"{{source: phrases, folder: {tmp_path}/nowhere}}"))
    with pytest.raises(MelodySourceError, match=r"has no MIDI files"):
        stems_of(recipe_of(f"{{source: phrases, folder: {tmp_path}}}"))
    (tmp_path / "drums.mid").write_bytes(midi_of((9, (36,))))
    with pytest.raises(MelodySourceError, match=r"have notes for drums only"):
        stems_of(recipe_of(f"{{source: phrases, folder: {tmp_path}}}"))
    (tmp_path / "broken.mid").write_bytes(b"MThd no more")
    with pytest.raises(MelodySourceError, match=r"broken\.mid: "):
        stems_of(recipe_of(f"{{source: phrases, folder: {tmp_path}}}"))


def test_music21s_scores_become_phrases() -> None:
    recipe = recipe_of("{source: phrases, corpus: music21, works: bach/bwv66.6}", n_clips=20)
    stems = stems_of(recipe)
    assert len({stem.melody_sha256 for stem in stems}) == 4  # soprano, alto, tenor, bass
    assert max(len(stem.notes) for stem in stems) > 4
    assert [plan.stems for plan in instantiate(recipe)] == [plan.stems for plan in instantiate(recipe)]
    with pytest.raises(MelodySourceError, match="no works named 'nobody'"):
        stems_of(recipe_of("{source: phrases, corpus: music21, works: nobody}"))


def test_reading_is_told_file_by_file_and_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mid", "b.mid", "c.mid"):
        (tmp_path / name).write_bytes(midi_of((0, SCALE)))
    read: list[str] = []

    def counted(data: bytes, field: str, name: str) -> list[Part]:
        read.append(Path(name).name)
        return read_parts(data, field, name)

    class StoppedError(Exception):
        pass

    def stop_after_two(done: int, total: int) -> None:
        if done == 2:
            raise StoppedError

    monkeypatch.setattr(corpora, "read_parts", counted)
    with pytest.raises(StoppedError):
        corpora.read_folder(tmp_path, 10, stop_after_two)
    assert read == ["a.mid", "b.mid"]
    told: list[tuple[int, int]] = []
    corpora.read_folder(tmp_path, 10, lambda done, total: told.append((done, total)))
    assert read == ["a.mid", "b.mid", "c.mid"]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_source_at_fault_is_named_by_field() -> None:
    melodies = "[{}, {source: phrases, corpus: music21, works: nobody}]"
    with pytest.raises(MelodySourceError) as caught:
        stems_of(recipe_of(melodies))
    (fault,) = faults_of(caught.value)
    assert fault.field == "melody.1.works"
    assert "no works named 'nobody'" in fault.message


def test_a_missing_music21_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(MissingCorpusError, match=r"pip install 'timbrescope\[corpus\]'"):
        stems_of(recipe_of("{source: phrases, corpus: music21, works: bach/bwv66.6}"))


def generator_recipe(tmp_path: Path, clips_per_run: int = 1) -> Recipe:
    program = tmp_path / "invent.py"
    program.write_text(INVENT)
    words = [sys.executable, str(program), "{seed}", "{out}", "{duration_s}", str(tmp_path / "runs.txt")]
    fields = f"source: generator, command: {words}, clips_per_run: {clips_per_run}, timeout_s: 60"
    return recipe_of(f"{{{fields}}}", n_clips=4)


def test_a_program_invents_the_melodies(tmp_path: Path) -> None:
    recipe = generator_recipe(tmp_path)
    plans = list(instantiate(recipe))
    seeds = (tmp_path / "runs.txt").read_text().split()
    assert len(seeds) == len(set(seeds)) == 4
    for plan in plans:
        assert len({stem.melody_sha256 for stem in plan.stems}) == 1
        for stem in plan.stems:
            player = PLAYER[stem.instrument]
            assert all(player.lowest_pitch <= note.pitch <= player.highest_pitch for note in stem.notes)
    generator.run_command.cache_clear()
    assert list(instantiate(recipe, [2])) == [plans[2]]


def test_clips_share_a_run_as_asked(tmp_path: Path) -> None:
    list(instantiate(generator_recipe(tmp_path, clips_per_run=2)))
    assert len((tmp_path / "runs.txt").read_text().split()) == 2


def test_rendering_never_needs_the_program_again(tmp_path: Path) -> None:
    plan = next(iter(instantiate(generator_recipe(tmp_path), [0])))
    saved = plan.to_json()
    (tmp_path / "invent.py").unlink()
    generator.run_command.cache_clear()
    again = ClipPlan.from_json(saved)
    assert again == plan
    assert abs(render_clip(again, {"FluidR3_GM": find_bank("FluidR3_GM")}).mix).max() > 0.01


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("import sys; sys.exit('no ideas today')", "ended with 1: no ideas today"),
        ("pass", r"wrote no MIDI file with notes into \{out\}"),
        (
            "import sys, pathlib; pathlib.Path(sys.argv[1], 'a.mid').write_text('la la')",
            r"a\.mid: .*MIDI",
        ),
    ],
)
def test_programs_that_fail_are_named(tmp_path: Path, program: str, fault: str) -> None:
    (tmp_path / "program.py").write_text(program)
    words = [sys.executable, str(tmp_path / "program.py"), "{out}"]
    with pytest.raises(MelodySourceError, match=fault):
        stems_of(recipe_of(f"{{source: generator, command: {words}}}"))


def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(MelodySourceError, match=r"/no/such/program cannot be started: No such file"):
        stems_of(recipe_of("{source: generator, command: [/no/such/program, '{out}']}"))


def test_a_program_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child.txt"
    (tmp_path / "slow.py").write_text(
        "import pathlib, subprocess, sys, time\n"
        "started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(child)!r}).write_text(str(started.pid))\n"
        "time.sleep(600)\n"
    )
    words = [sys.executable, str(tmp_path / "slow.py"), "{out}"]
    began = time.monotonic()
    with pytest.raises(MelodySourceError, match=r"took longer than 2 s"):
        stems_of(recipe_of(f"{{source: generator, command: {words}, timeout_s: 2}}"))
    assert time.monotonic() - began < 20.0
    assert not is_running(int(child.read_text()))


def is_running(pid: int) -> bool:
    """Whether a process does anything: one that waits for its parent to look at its end does not."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").exists():
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                if state == "Z":
                    return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.1)
    return True
