"""SoundFonts that stay open: what is heard must not depend on what was opened, or played, before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.synthesis import open_soundfonts
from ml.synthesis.instantiate import instantiate
from ml.synthesis.midi_file import StemMessage, stem_messages
from ml.synthesis.recipe import Recipe
from ml.synthesis.render import SAMPLE_RATE_HZ, SYNTH_GAIN, RenderOptions, load_fluidsynth, render_events
from ml.synthesis.soundfonts import MissingSoundFontError, find_bank
from tests.unit.ml.synthesis.banks_made import write_soundfont

FLUID_R3 = find_bank("FluidR3_GM").path
RECIPE = Recipe(name="open", seed=8, n_clips=6, clip_duration_s=1.0)
PIANO = StemMessage(0.0, bytes([0x90, 60, 100]))
AUDIBLE = 0.01  # of full scale


@pytest.fixture(autouse=True)
def nothing_is_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(open_soundfonts, "_idle", type(open_soundfonts._idle)())
    yield
    for files in open_soundfonts._idle.values():
        for file in files:
            file.close()


def parts() -> list[tuple[tuple[StemMessage, ...], RenderOptions]]:
    return [
        (stem_messages(stem), RenderOptions(plan.reverb, plan.chorus))
        for plan in instantiate(RECIPE)
        for stem in plan.stems
    ]


def rendered(part: tuple[tuple[StemMessage, ...], RenderOptions]) -> NDArray[np.float32]:
    return render_events(part[0], FLUID_R3, SAMPLE_RATE_HZ, part[1])


def rendered_in_the_simplest_way(
    part: tuple[tuple[StemMessage, ...], RenderOptions],
) -> NDArray[np.float64]:
    """A synthesiser that opens the file itself and plays once; what `render_events` must equal."""
    messages, options = part
    effects = {"synth.reverb.active": int(options.reverb), "synth.chorus.active": int(options.chorus)}
    synth = load_fluidsynth().Synth(gain=SYNTH_GAIN, samplerate=float(SAMPLE_RATE_HZ), channels=16, **effects)
    synth.sfload(str(FLUID_R3))
    pieces, position = [], 0
    for timed in (*messages, StemMessage(1.0, b"")):
        target = min(round(timed.time_s * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
        if target > position:
            pieces.append(synth.get_samples(target - position).reshape(-1, 2))
        position = target
        if position == SAMPLE_RATE_HZ:
            break
        kind, data = timed.message[0] >> 4, timed.message[1:]
        if kind == 0xC:
            synth.program_change(0, data[0])
        elif kind == 0x9:
            synth.noteon(0, data[0], data[1])
        else:
            synth.noteoff(0, data[0])
    synth.delete()
    return np.asarray(np.concatenate(pieces).mean(axis=1) / 32_768.0, dtype=np.float64)


def test_stems_equal_those_of_a_synthesiser_that_opens_the_file_itself() -> None:
    for part in parts():
        np.testing.assert_array_equal(rendered(part), rendered_in_the_simplest_way(part))


def test_threads_do_not_disturb_one_another() -> None:
    expected = [rendered(part) for part in parts()]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(rendered, parts() * 3), expected * 3, strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert len(open_soundfonts._idle) == 1


def test_only_so_many_files_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_soundfonts, "MAX_IDLE_FILES", 2)
    copies = [write_soundfont(tmp_path / f"{number}.sf2") for number in range(3)]
    for path in copies:
        render_events([PIANO], path, 4_410)
    kept = [key[0] for key in open_soundfonts._idle]
    assert kept == [str(path.resolve()) for path in copies[1:]]


def test_a_file_that_is_replaced_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "bank.sf2"
    write_soundfont(path)
    messages = (StemMessage(0.0, bytes([0xC0, 0])), PIANO)
    before = render_events(messages, path, 4_410)
    path.unlink()
    path.symlink_to(FLUID_R3)
    after = render_events(messages, path, 4_410)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, render_events(messages, FLUID_R3, 4_410))


def test_a_missing_file_and_one_that_is_no_soundfont_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingSoundFontError, match=r"nowhere\.sf2 cannot be read: No such file"):
        render_events([PIANO], tmp_path / "nowhere.sf2", 441)
    (tmp_path / "empty.sf2").write_bytes(b"RIFF\x04\x00\x00\x00sfbk")
    with pytest.raises(MissingSoundFontError, match=r"cannot load the SoundFont .*empty\.sf2"):
        render_events([PIANO], tmp_path / "empty.sf2", 441)


@pytest.mark.parametrize("channel", [0, 9])
def test_a_channel_that_selects_no_program_plays_the_first_one(channel: int) -> None:
    note = StemMessage(0.0, bytes([0x90 | channel, 40, 100]))
    program = StemMessage(0.0, bytes([0xC0 | channel, 0]))
    sound = render_events([note], FLUID_R3, 8_820)
    assert np.abs(sound).max() > AUDIBLE
    np.testing.assert_array_equal(sound, render_events([program, note], FLUID_R3, 8_820))
