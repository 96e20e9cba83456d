"""Who plays together: numbers, weights, families, explicit sets, and which bank plays them."""

from __future__ import annotations

from collections import Counter

import pytest

from ml.instruments import INSTRUMENTS
from ml.synthesis.instantiate import instantiate, validation_indices
from ml.synthesis.plan import ClipPlan
from ml.synthesis.recipe import InvalidRecipeError, Recipe, parse_recipe, require_safe
from tests.unit.faults import faults_of

N_CLIPS = 1_000
SHARE_ERROR = 0.05  # of a thousand draws: more than three standard deviations
FAMILY = {instrument.name: instrument.family for instrument in INSTRUMENTS}


def plans_of(fields: str) -> list[ClipPlan]:
    return list(instantiate(recipe_of(fields)))


def recipe_of(fields: str) -> Recipe:
    return parse_recipe(f"{{name: a, seed: 2, n_clips: {N_CLIPS}, clip_duration_s: 0.5, {fields}}}")


def test_numbers_are_drawn_by_weight() -> None:
    counted = Counter(len(plan.stems) for plan in plans_of("instruments_per_clip: {1: 3, 2: 1}"))
    assert set(counted) == {1, 2}
    assert counted[1] / N_CLIPS == pytest.approx(0.75, abs=SHARE_ERROR)


def test_instruments_are_drawn_by_weight() -> None:
    plans = plans_of(
        "instruments: [Violin, Piccolo, Celesta], instruments_per_clip: [1],"
        "combinations: {draw: weighted, weights: {Violin: 8}}"
    )
    counted = Counter(plan.stems[0].instrument for plan in plans)
    assert counted["Violin"] / N_CLIPS == pytest.approx(0.8, abs=SHARE_ERROR)
    assert counted["Piccolo"] / N_CLIPS == pytest.approx(0.1, abs=SHARE_ERROR)


def test_families_play_together_as_often_as_asked() -> None:
    plans = plans_of("instruments_per_clip: [3], combinations: {draw: families, probability: 1}")
    assert {frozenset(FAMILY[name] for name in plan.labels) for plan in plans} == {
        frozenset({"keys"}),
        frozenset({"winds"}),
    }  # the families of three and more
    plans = plans_of("instruments_per_clip: [3], combinations: {draw: families, probability: 0.5}")
    alike = sum(len({FAMILY[name] for name in plan.labels}) == 1 for plan in plans)
    by_chance = 2 / 220  # two families of three among all triples of twelve
    assert alike / N_CLIPS == pytest.approx(0.5 + 0.5 * by_chance, abs=SHARE_ERROR)


def test_explicit_sets_are_all_there_is() -> None:
    recipe = recipe_of(
        "combinations: {draw: explicit, sets: [{instruments: [Violin, String Ensemble 1], weight: 3},"
        "{instruments: [Trumpet]}]}"
    )
    assert recipe.instruments_per_clip == (1, 2)
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    counted = Counter(tuple(stem.instrument for stem in plan.stems) for plan in instantiate(recipe))
    assert set(counted) == {("Violin", "String Ensemble 1"), ("Trumpet",)}
    assert counted["Trumpet",] / N_CLIPS == pytest.approx(0.25, abs=SHARE_ERROR)


def test_some_clips_are_those_of_all() -> None:
    recipe = recipe_of("reverb_probability: 0.3")
    every = list(instantiate(recipe))
    assert list(instantiate(recipe, (7, 3))) == [every[7], every[3]]
    assert {index for index, plan in enumerate(every) if plan.split == "validation"} == set(
        validation_indices(recipe)
    )


def test_custom_instruments_have_their_own_preset_range_and_label() -> None:
    recipe = recipe_of(
        "instruments: [{name: Flute, program: 73, pitch_range: [60, 96], family: winds},"
        "{name: Tuba (low), program: 58, bank: 8, pitch_range: [28, 50], max_voices: 2}],"
        "instruments_per_clip: [2], melody: {pitch_range: natural}"
    )
    assert recipe.labels == ("Flute", "Tuba (low)")
    for plan in instantiate(recipe):
        for stem in plan.stems:
            bank, program, lowest, highest = {"Flute": (0, 73, 60, 96), "Tuba (low)": (8, 58, 28, 50)}[
                stem.instrument
            ]
            assert (stem.bank, stem.program) == (bank, program)
            assert all(lowest <= note.pitch <= highest for note in stem.notes)


def test_splits_have_their_own_banks() -> None:
    plans = plans_of("soundfonts: {train: [A, B], validation: [C]}, instruments_per_clip: [2]")
    drawn = {
        split: Counter(plan.stems[0].soundfont for plan in plans if plan.split == split)
        for split in ("train", "validation")
    }
    assert set(drawn["train"]) == {"A", "B"}
    assert set(drawn["validation"]) == {"C"}
    assert sum(drawn["validation"].values()) == round(0.2 * N_CLIPS)
    assert all(len({stem.soundfont for stem in plan.stems}) == 1 for plan in plans)


def test_a_bank_is_not_drawn_for_what_it_lacks_and_by_weight_for_the_rest() -> None:
    plans = plans_of(
        "soundfont_per: stem, instruments_per_clip: [2], instruments: [Violin, Trumpet],"
        "soundfonts: [A, {name: B, without: [Violin], weight: 3}]"
    )
    stems = [stem for plan in plans for stem in plan.stems]
    assert {stem.soundfont for stem in stems if stem.instrument == "Violin"} == {"A"}
    trumpets = Counter(stem.soundfont for stem in stems if stem.instrument == "Trumpet")
    assert trumpets["B"] / N_CLIPS == pytest.approx(0.75, abs=SHARE_ERROR)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("combinations: {draw: best}", "combinations: draw is none of uniform, weighted, families, explicit"),
        (
            "combinations: {draw: weighted, weights: {Kazoo: 1}}",
            "combinations: weights names Kazoo, not among the recipe's instruments",
        ),
        (
            "combinations: {draw: weighted, weights: {Violin: 0}}",
            "combinations.weights.Violin: Input should be greater than 0",
        ),
        (
            "combinations: {draw: explicit, sets: [{instruments: [Violin, Violin]}]}",
            "combinations: sets.0 names an instrument twice",
        ),
        (
            "combinations: {draw: explicit, sets: [{instruments: [Violin]}]}, instruments_per_clip: [2]",
            "instruments_per_clip: the explicit combinations have (1,); leave this field out",
        ),
        ("instruments_per_clip: {}", "instruments_per_clip: Dictionary should have at least 1 item"),
        ("instruments_per_clip: [0]", "instruments_per_clip.0: Input should be greater than or equal to 1"),
        (
            "instruments: [{name: Flute, program: 128, pitch_range: [60, 96]}]",
            "instruments.0.program: Input should be less than or equal to 127",
        ),
        (
            "instruments: [{name: Flute, program: 73, pitch_range: [96, 60]}]",
            "instruments.0.pitch_range: range [96, 60] is empty",
        ),
        (
            "instruments: [Violin, {name: violin!, program: 40, pitch_range: [55, 96]}]",
            "instruments: two instruments have the same name but for case and punctuation",
        ),
        (
            "instruments: [{name: '???', program: 73, pitch_range: [60, 96]}]",
            "instruments.0.name: '???' needs a letter a-z or a digit",
        ),
        (
            "soundfonts: {train: [A, B], validation: [B]}",
            "soundfonts: B validates and must not be trained on as well",
        ),
        ("soundfonts: {train: [A]}", "soundfonts.validation: Field required"),
        ("soundfonts: {train: [A], validation: []}", "soundfonts.validation: Tuple should have at least 1"),
        ("soundfonts: [A, A]", "soundfonts: A is listed twice"),
        (
            "soundfonts: [{name: A, without: [Kazoo]}]",
            "soundfonts: A names Kazoo, not among the recipe's instruments",
        ),
        (
            "soundfont_per: stem, soundfonts: {train: [A], validation: [{name: C, without: [Violin]}]}",
            "soundfonts: no bank of validation (C) serves Violin",
        ),
        (
            "instruments: [Violin, Trumpet], instruments_per_clip: [1],"
            "soundfonts: [{name: A, without: [Violin]}, {name: B, without: [Trumpet]}]",
            "soundfonts: no bank (A, B) serves Trumpet, Violin",
        ),
    ],
)
def test_faults_are_named(fields: str, fault: str) -> None:
    with pytest.raises(InvalidRecipeError) as caught:
        recipe_of(fields)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("melody: {source: phrases, folder: scores}", "melody.folder: only the operator"),
        (
            "melody: [{}, {source: generator, command: [invent, '{out}']}]",
            "melody.1.command: only the operator",
        ),
        ("soundfonts: [/etc/passwd]", "soundfonts: /etc/passwd is a path"),
        ("soundfonts: [../secret]", "soundfonts: ../secret is a path"),
        ("soundfonts: {train: [A], validation: [{name: b.sf2}]}", "soundfonts: b.sf2 is a path"),
        (
            "melody: [{source: phrases, corpus: music21, max_files: 600}, "
            "{source: phrases, corpus: music21, works: mozart, max_files: 401}]",
            "melody.1.max_files: 1001 scores in all are more than 1000",
        ),
        (
            "n_clips: 100001, melody: {source: phrases, corpus: music21}",
            "n_clips: 100001 clips with phrases of scores are more than 100000",
        ),
    ],
)
def test_a_recipe_from_the_network_reaches_nothing_of_the_machine(fields: str, fault: str) -> None:
    with pytest.raises(InvalidRecipeError, match=r"The recipe is refused: ") as caught:
        require_safe(recipe_of(fields))
    assert fault in str(caught.value)
    assert [fault.startswith(f"{named.field}: ") for named in faults_of(caught.value)] == [True]


def test_an_ordinary_recipe_is_safe() -> None:
    require_safe(recipe_of("melody: [{}, {source: phrases, corpus: music21}], soundfonts: [FluidR3_GM]"))
