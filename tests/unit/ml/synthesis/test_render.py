"""Rendering and mixing with the real FluidSynth: repeatable, additive, at the right pitch and time."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest

from ml.melspec import MelConfig, level_db
from ml.synthesis import render
from ml.synthesis.instantiate import ClipPlan, Note, StemPlan, instantiate
from ml.synthesis.midi_file import StemMessage, stem_messages
from ml.synthesis.mix import PEAK_CEILING, render_clip
from ml.synthesis.recipe import Recipe
from ml.synthesis.render import SAMPLE_RATE_HZ, RenderOptions, render_events
from ml.synthesis.soundfonts import SEARCH_PATH_VARIABLE, Bank, MissingSoundFontError, find_bank

DITHER = 1.0 / 32_768  # FluidSynth rounds to 16 bits with dither of one step
FLOAT32 = 1e-6  # of full scale: sums of a few float32 stems


@pytest.fixture(scope="module")
def banks() -> dict[str, Bank]:
    return {"FluidR3_GM": find_bank("FluidR3_GM")}


def one_note(pitch: int = 69, start_s: float = 1.0, duration_s: float = 1.0, program: int = 80) -> StemPlan:
    return StemPlan("Square Wave Lead", program, "FluidR3_GM", 0.0, (Note(start_s, duration_s, pitch, 100),))


def clip_of(*stems: StemPlan, duration_s: float = 3.0) -> ClipPlan:
    return ClipPlan("clip", "train", duration_s, reverb=False, chorus=False, stems=stems)


def test_stems_sum_to_the_mix_and_it_never_clips(banks: dict[str, Bank]) -> None:
    loud = Recipe(name="loud", n_clips=4, clip_duration_s=2.0, instruments_per_clip=(4,), level_db=(10, 20))
    for plan in instantiate(loud):
        clip = render_clip(plan, banks)
        assert clip.stems.shape == (4, 2 * SAMPLE_RATE_HZ)
        np.testing.assert_allclose(clip.stems.sum(axis=0), clip.mix, atol=FLOAT32)
        assert np.abs(clip.mix).max() <= PEAK_CEILING + FLOAT32
        assert all(np.abs(stem).max() > 0.01 for stem in clip.stems)
        assert clip.common_gain_db < 0.0


def test_a_plan_renders_to_the_same_bytes_again_whatever_was_rendered_between(banks: dict[str, Bank]) -> None:
    plan, other = list(instantiate(Recipe(name="twice", n_clips=2, clip_duration_s=2.0)))
    first = render_clip(plan, banks).stems.tobytes()
    render_clip(other, banks)
    assert render_clip(plan, banks).stems.tobytes() == first


def test_a_note_sounds_at_its_pitch_and_time(banks: dict[str, Bank]) -> None:
    mel = MelConfig()
    clip = render_clip(clip_of(one_note(pitch=69, start_s=1.0)), banks)
    onset_s = np.flatnonzero(np.abs(clip.mix) > 0.01)[0] / SAMPLE_RATE_HZ
    assert onset_s == pytest.approx(1.0, abs=0.03)
    band = int(level_db(clip.mix, mel).mean(axis=1).argmax())
    assert mel.frequencies_hz[band] == pytest.approx(440.0, abs=35.0)


def test_gain_is_in_decibels(banks: dict[str, Bank]) -> None:
    plain = one_note()
    quiet = StemPlan(plain.instrument, plain.program, plain.soundfont, -6.0206, plain.notes)
    full, half = (render_clip(clip_of(stem), banks).mix for stem in (plain, quiet))
    np.testing.assert_allclose(half, full / 2, atol=1e-5)


def test_effects_are_heard_only_when_asked_for(banks: dict[str, Bank]) -> None:
    messages, path = stem_messages(one_note()), banks["FluidR3_GM"].path
    dry = render_events(messages, path, SAMPLE_RATE_HZ * 3, RenderOptions(reverb=False, chorus=False))
    wet = render_events(messages, path, SAMPLE_RATE_HZ * 3, RenderOptions(reverb=True, chorus=True))
    assert np.abs(wet - dry).max() > 0.001


def test_block_length_does_not_show(banks: dict[str, Bank], monkeypatch: pytest.MonkeyPatch) -> None:
    messages, path = stem_messages(one_note()), banks["FluidR3_GM"].path
    whole = render_events(messages, path, SAMPLE_RATE_HZ * 2)
    monkeypatch.setattr(render, "BLOCK_SAMPLES", 6_400)
    reported: list[tuple[int, int]] = []
    pieces = render_events(
        messages, path, SAMPLE_RATE_HZ * 2, on_block=lambda done, total: reported.append((done, total))
    )
    np.testing.assert_array_equal(pieces, whole)
    assert reported[-1] == (SAMPLE_RATE_HZ * 2, SAMPLE_RATE_HZ * 2)


def test_events_after_the_end_are_left_out(banks: dict[str, Bank]) -> None:
    late = [StemMessage(9.0, bytes([0x90, 60, 100]))]
    sound = render_events(late, banks["FluidR3_GM"].path, 44_100, RenderOptions(False, False))
    assert np.abs(sound).max() <= DITHER


def test_a_missing_soundfont_says_how_to_install_it() -> None:
    with pytest.raises(MissingSoundFontError, match="apt-get install fluid-soundfont-gm"):
        find_bank("NoSuchBank")


@pytest.mark.parametrize("name", ["0" * 4_096, "a\x00b", "0" * 300 + ".sf2"])
def test_a_name_that_no_file_can_have_is_that_of_a_missing_soundfont(name: str) -> None:
    with pytest.raises(MissingSoundFontError, match="was not found") as caught:
        find_bank(name)
    assert len(str(caught.value)) < 1_000


def test_what_is_no_soundfont_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Fake.sf2").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    monkeypatch.setenv(SEARCH_PATH_VARIABLE, str(tmp_path))
    with pytest.raises(MissingSoundFontError, match="is not a SoundFont"):
        find_bank("Fake")


def test_a_folder_of_single_programs_is_a_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Tiny").mkdir()
    (tmp_path / "Tiny" / "040.sf3").write_bytes(b"x")
    monkeypatch.setenv(SEARCH_PATH_VARIABLE, str(tmp_path))
    bank = find_bank("Tiny")
    assert bank.file_for(40).name == "040.sf3"
    with pytest.raises(MissingSoundFontError, match="no file for program 0"):
        bank.file_for(0)


def test_a_missing_libfluidsynth_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_fluidsynth(name: str, *args: object, **kwargs: object) -> object:
        if name == "fluidsynth":
            raise ImportError("Couldn't find the FluidSynth library.")
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_fluidsynth)
    with pytest.raises(render.MissingFluidSynthError, match="apt-get install libfluidsynth3"):
        render.load_fluidsynth()
