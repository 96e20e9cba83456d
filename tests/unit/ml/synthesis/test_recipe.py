"""Recipes: what is accepted, and how faults are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.instruments import INSTRUMENTS
from ml.synthesis.recipe import InvalidRecipeError, Recipe, parse_recipe, read_recipe, require_both_parts
from tests.unit.faults import faults_of

RECIPES = Path("recipes")


def test_the_protocol_is_the_studys() -> None:
    recipe = read_recipe(RECIPES / "protocol.yaml")
    assert (recipe.n_clips, recipe.clip_duration_s, recipe.validation_share) == (8_000, 5.0, 0.2)
    assert recipe.instruments_per_clip == (1, 2, 3, 4)
    assert recipe.melodies[0].pitch_range == (60, 72)
    assert recipe.labels == tuple(instrument.name for instrument in INSTRUMENTS)
    assert len(recipe.labels) == 12


def test_every_committed_recipe_is_valid_and_has_its_files_name() -> None:
    for path in set(RECIPES.glob("*.yaml")) - set(RECIPES.glob("train-*.yaml")):  # those configure trainings
        assert read_recipe(path).name == path.stem


def test_json_is_accepted_too() -> None:
    assert parse_recipe('{"name": "a", "n_clips": 3}').n_clips == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: a", "n_clips: Field required"),
        ("{name: a, n_clips: 0}", "n_clips: Input should be greater than or equal to 1"),
        ("{name: a, n_clips: 1, colour: red}", "colour: unknown field; known: name, description, seed"),
        ("{name: a, n_clips: 1, melody: {tempo: 90}}", "melody.tempo: unknown field; known: weight, "),
        ("{name: A b, n_clips: 1}", "name: String should match"),
        (
            "{name: a, n_clips: 1, instruments: [Kazoo]}",
            "instruments: Unknown instrument 'Kazoo'; known: Acoustic",
        ),
        ("{name: a, n_clips: true}", "n_clips: Input should be a valid integer, not 'True'"),
        ("{name: a, n_clips: 1, seed: '7'}", "seed: Input should be a valid integer, not '7'"),
        ("{name: a, n_clips: 1, reverb_probability: true}", "reverb_probability: true is not a number"),
        ("{name: a, n_clips: 1, instruments_per_clip: {true: 1}}", "true is not a number"),
        (
            "{name: a, n_clips: 1, level_db: [.nan, 1]}",
            "level_db.0: Input should be a finite number, not 'nan'",
        ),
        ("{name: a, n_clips: 1, instruments: [Violin, Violin]}", "instruments: an instrument is named twice"),
        (
            "{name: a, n_clips: 1, instruments: [Violin], instruments_per_clip: [1, 4]}",
            "instruments_per_clip: asks for 4 of 1",
        ),
        (
            "{name: a, n_clips: 1, melody: {pitch_range: [72, 60]}}",
            "melody.pitch_range: range [72, 60] is empty",
        ),
        (
            "{name: a, n_clips: 1, melody: {note_duration_s: [0, 1]}}",
            "melody.note_duration_s.0: Input should be greater than 0",
        ),
        ("{name: a, n_clips: 1, level_db: [3, -3]}", "level_db: range [3.0, -3.0] is empty"),
        ("{name: a, n_clips: 1, soundfonts: []}", "soundfonts: Tuple should have at least 1 item"),
        ("[1, 2]", "not a mapping"),
        ("a: [", "not YAML"),
        ("a: &x [1]\nb: *x", "an alias in line 2; aliases are not taken"),
        ("a: 2024-99-99", "not YAML: month must be in 1..12"),
        ("[" * 100_000, "not YAML: it is nested too deeply"),
        ("#" * 1_000_001, "The recipe has 1000001 characters; the limit is 1000000"),
        (
            "{name: a, n_clips: 1, level_db: [0, 1e300]}",
            "level_db.1: Input should be less than or equal to 120",
        ),
        (
            "{name: a, n_clips: 1, melody: {note_duration_s: [1, .inf]}}",
            "melody.note_duration_s.1: Input should",
        ),
        (
            "{name: a, n_clips: 1, melody: {rest_duration_s: [.nan, 1]}}",
            "melody.rest_duration_s.0: Input should",
        ),
    ],
)
def test_faults_are_named(text: str, fault: str) -> None:
    with pytest.raises(InvalidRecipeError) as caught:
        parse_recipe(text)
    assert fault in str(caught.value)
    assert not str(caught.value).endswith("..")


def test_every_fault_of_a_section_is_named_beside_unknown_fields() -> None:
    with pytest.raises(InvalidRecipeError) as caught:
        parse_recipe("{name: a, colour: red, melody: {draw: 1, velocity: [90, 80]}, effects: {codec: 3}}")
    faults = faults_of(caught.value)
    assert [fault.field for fault in faults] == [
        "n_clips",
        "melody.velocity",
        "melody.draw",
        "effects.codec",
        "colour",
    ]
    assert all("Extra inputs" not in fault.message for fault in faults)


@pytest.mark.parametrize(("n_instruments", "counts"), [(1, (1,)), (3, (1, 2, 3)), (5, (1, 2, 3, 4))])
def test_no_more_instruments_play_by_default_than_there_are(
    n_instruments: int, counts: tuple[int, ...]
) -> None:
    instruments = [{"name": f"reed {k}", "program": k, "pitch_range": [60, 72]} for k in range(n_instruments)]
    recipe = parse_recipe(json.dumps({"name": "a", "n_clips": 9, "instruments": instruments}))
    assert recipe.instruments_per_clip == counts
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("n_clips", "share", "fault"),
    [
        (2, 0.2, "validation_share: 0.2 of 2 clips are none"),
        (2, 0.9, "validation_share: 0.9 of 2 clips are all of them"),
        (1, 0.6, "validation_share: 0.6 of 1 clips are all of them"),
    ],
)
def test_a_data_set_with_an_empty_part_is_refused(n_clips: int, share: float, fault: str) -> None:
    with pytest.raises(InvalidRecipeError, match=fault):
        require_both_parts(Recipe(name="a", n_clips=n_clips, validation_share=share))


def test_a_share_of_0_asks_for_no_validation() -> None:
    require_both_parts(Recipe(name="a", n_clips=1, validation_share=0.0))
    require_both_parts(Recipe(name="a", n_clips=3))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["source", "draw", "train", "name"]) | st.text(max_size=4), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Recipe.model_fields)), _VALUES))
def test_whatever_is_sent_is_a_recipe_or_refused_by_field(fields: dict[str, object]) -> None:
    text = json.dumps({"name": "a", "n_clips": 1} | fields)
    try:
        recipe = parse_recipe(text)
    except InvalidRecipeError:
        return  # whatever else is raised is a fault of ours
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipeError, match=r"nowhere\.yaml cannot be read: No such file"):
        read_recipe(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidRecipeError, match="is not text"):
        read_recipe(tmp_path / "binary.yaml")


def test_equal_recipes_have_equal_digests() -> None:
    one, other = Recipe(name="a", n_clips=3), Recipe(name="a", n_clips=3, description="")
    assert one.digest == other.digest
    assert one.digest != Recipe(name="a", n_clips=4).digest


def test_natural_ranges_are_the_instruments_own() -> None:
    recipe = parse_recipe("{name: a, n_clips: 1, melody: {pitch_range: natural}}")
    piccolo = next(instrument for instrument in INSTRUMENTS if instrument.name == "Piccolo")
    assert recipe.melodies[0].pitches_of(piccolo) == (74, 102)
