"""Instantiation: every choice made, the same for the same seed, within the recipe's ranges."""

from __future__ import annotations

import io
from collections import Counter

import mido
import pytest

from ml.synthesis.instantiate import instantiate
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.midi_file import clip_midi, stem_messages
from ml.synthesis.plan import TICKS_PER_SECOND, ClipPlan, Note, StemPlan
from ml.synthesis.recipe import Recipe, parse_recipe

RECIPE = Recipe(name="small", seed=3, n_clips=200)


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    return list(instantiate(RECIPE))


def test_equal_seeds_make_equal_clips(plans: list[ClipPlan]) -> None:
    assert list(instantiate(RECIPE)) == plans
    assert list(instantiate(RECIPE.model_copy(update={"seed": 4}))) != plans


def test_a_clip_does_not_depend_on_how_many_there_are(plans: list[ClipPlan]) -> None:
    fewer = list(instantiate(RECIPE.model_copy(update={"n_clips": 20})))
    assert [plan.stems for plan in fewer] == [plan.stems for plan in plans[:20]]


def test_plans_survive_storage(plans: list[ClipPlan]) -> None:
    assert [ClipPlan.from_json(plan.to_json()) for plan in plans] == plans


def test_plans_of_the_first_version_are_read() -> None:
    line = (
        '{"clip_id":"c","split":"train","duration_s":1.0,"reverb":true,"chorus":false,"stems":[{"instrument":'
        '"Violin","program":40,"soundfont":"FluidR3_GM","gain_db":-1.5,"notes":[{"start_s":0.0,"duration_s":0.5,'
        '"pitch":60,"velocity":90}]}]}'
    )
    stem = StemPlan("Violin", 40, "FluidR3_GM", -1.5, (Note(0.0, 0.5, 60, 90),))
    assert ClipPlan.from_json(line) == ClipPlan("c", "train", 1.0, reverb=True, chorus=False, stems=(stem,))


def test_labels_of_any_script_have_their_track() -> None:
    recipe = parse_recipe(
        '{name: a, n_clips: 1, instruments: [{name: "笛 (fue)", program: 77, pitch_range: [60, 90]}],'
        "instruments_per_clip: [1]}"
    )
    file = mido.MidiFile(file=io.BytesIO(clip_midi(next(instantiate(recipe)))), charset="utf-8")
    assert file.tracks[1].name == "笛 (fue)"


def test_the_split_is_exact_and_fixed_beforehand(plans: list[ClipPlan]) -> None:
    assert Counter(plan.split for plan in plans) == {"train": 160, "validation": 40}


def test_draws_stay_within_the_recipe(plans: list[ClipPlan]) -> None:
    assert {len(plan.stems) for plan in plans} == {1, 2, 3, 4}
    assert {name for plan in plans for name in plan.labels} == set(RECIPE.instruments)
    for plan in plans:
        assert len(plan.labels) == len(plan.stems)
        for stem in plan.stems:
            assert -3.0 <= stem.gain_db <= 3.0
            assert stem.notes[0].start_s <= RECIPE.clip_duration_s / 2
            for note in stem.notes:
                assert 60 <= note.pitch <= 72
                assert 70 <= note.velocity <= 127
                assert 0.19 < note.duration_s < 2.01
                ticks = note.start_s * TICKS_PER_SECOND
                assert ticks == pytest.approx(round(ticks), abs=1e-6)


def test_notes_follow_one_another(plans: list[ClipPlan]) -> None:
    for plan in plans:
        for stem in plan.stems:
            for note, following in zip(stem.notes, stem.notes[1:], strict=False):
                assert following.start_s >= note.start_s + note.duration_s - 1 / TICKS_PER_SECOND


def test_a_note_always_sounds_even_after_a_long_rest() -> None:
    recipe = RECIPE.model_copy(update={"melody": RandomMelody(rest_duration_s=(30.0, 40.0))})
    assert all(stem.notes for plan in instantiate(recipe) for stem in plan.stems)


def test_the_midi_file_says_what_is_rendered(plans: list[ClipPlan]) -> None:
    """Read back by mido, the file gives every stem's messages at the very same times."""
    for plan in plans[:20]:
        file = mido.MidiFile(file=io.BytesIO(clip_midi(plan)))
        assert [track.name for track in file.tracks[1:]] == [stem.instrument for stem in plan.stems]
        for track, stem in zip(file.tracks[1:], plan.stems, strict=True):
            tick, found = 0, []
            for message in track:
                tick += message.time
                if not message.is_meta:
                    found.append((tick, bytes([message.bin()[0] & 0xF0]) + bytes(message.bin()[1:])))
            expected = [(round(m.time_s * TICKS_PER_SECOND), m.message) for m in stem_messages(stem)]
            assert found == expected


def test_notes_end_before_others_begin_at_the_same_time(plans: list[ClipPlan]) -> None:
    for stem in plans[0].stems:
        sounding: Counter[int] = Counter()
        for timed in stem_messages(stem):
            if timed.message[0] >> 4 == 0x9:
                assert sounding[timed.message[1]] == 0
                sounding[timed.message[1]] += 1
            elif timed.message[0] >> 4 == 0x8:
                sounding[timed.message[1]] -= 1
        assert not +sounding
