"""Banks are checked before anything is rendered: what is wrong is named by field and reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml.synthesis.bank_check import check_banks
from ml.synthesis.recipe import InvalidRecipeError, Recipe, parse_recipe
from ml.synthesis.soundfonts import SEARCH_PATH_VARIABLE, MissingSoundFontError
from tests.unit.faults import faults_of
from tests.unit.ml.synthesis.banks_made import write_soundfont

GENERAL_MIDI = [(0, program) for program in range(128)]
ODD = "instruments: [{name: Odd, program: 5, bank: 77, pitch_range: [60, 72]}], instruments_per_clip: [1]"


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two banks of the test's own, One and Two."""
    monkeypatch.setenv(SEARCH_PATH_VARIABLE, str(tmp_path))
    write_soundfont(tmp_path / "One.sf2", GENERAL_MIDI, brightness=1)
    write_soundfont(tmp_path / "Two.sf2", GENERAL_MIDI, brightness=2)
    return tmp_path


def recipe_of(soundfonts: str, fields: str = "") -> Recipe:
    return parse_recipe(f"{{name: a, n_clips: 1, soundfonts: {soundfonts}, {fields}}}")


def test_banks_are_found_by_the_recipes_names() -> None:
    banks = check_banks(recipe_of("{train: [FluidR3_GM, One], validation: [{name: Two}]}"))
    assert {name: bank.path.name for name, bank in banks.items()} == {
        "FluidR3_GM": "FluidR3_GM.sf2",
        "One": "One.sf2",
        "Two": "Two.sf2",
    }


def test_missing_banks_are_all_named() -> None:
    with pytest.raises(MissingSoundFontError) as caught:
        check_banks(recipe_of("{train: [One, Nowhere], validation: [NeitherHere]}"))
    assert "soundfonts.train.1: SoundFont Nowhere was not found" in str(caught.value)
    assert "soundfonts.validation.0: SoundFont NeitherHere was not found" in str(caught.value)
    assert [fault.field for fault in faults_of(caught.value)] == [
        "soundfonts.train.1",
        "soundfonts.validation.0",
    ]


def test_a_recipe_at_fault_is_told_first() -> None:
    with pytest.raises(InvalidRecipeError) as caught:
        check_banks(recipe_of("[Nowhere, One]", f"{ODD}, soundfont_per: stem"))
    (fault,) = faults_of(caught.value)
    assert fault.field == "soundfonts.1"
    assert fault.message.endswith("has no preset 77:5, which plays Odd.")


def test_what_is_no_soundfont_is_refused(shelf: Path) -> None:
    (shelf / "Text.sf2").write_text("not a bank")
    (shelf / "Head.sf2").write_bytes(b"RIFF\x04\x00\x00\x00sfbk")
    with pytest.raises(InvalidRecipeError, match=r"soundfonts\.0: .*Text\.sf2 is not a SoundFont"):
        check_banks(recipe_of("[Text]"))
    with pytest.raises(InvalidRecipeError, match=r"soundfonts\.0: FluidSynth cannot load .*Head\.sf2"):
        check_banks(recipe_of("[Head]"))


def test_a_preset_that_a_bank_lacks_is_named() -> None:
    with pytest.raises(InvalidRecipeError, match=r"has no preset 77:5, which plays Odd"):
        check_banks(recipe_of("[One]", ODD))


def test_a_folder_of_programs_needs_only_what_it_serves(shelf: Path) -> None:
    (shelf / "Solo").mkdir()
    write_soundfont(shelf / "Solo" / "040.sf2", [(0, 40)], brightness=3)
    some = "instruments: [Violin, Trumpet], instruments_per_clip: [1], soundfont_per: stem"
    with pytest.raises(
        InvalidRecipeError, match=r"soundfonts\.0: SoundFont bank Solo .*no file for program 56"
    ):
        check_banks(recipe_of("[Solo]", some))
    assert "Solo" in check_banks(recipe_of("[{name: Solo, without: [Trumpet]}, One]", some))


def test_a_validation_bank_under_another_name_is_not_trained_on(shelf: Path) -> None:
    shutil.copy(shelf / "One.sf2", shelf / "Copy.sf2")
    with pytest.raises(
        InvalidRecipeError, match=r"soundfonts\.validation\.0: Copy validates .* One has the same"
    ):
        check_banks(recipe_of("{train: [Two, One], validation: [Copy]}"))


def test_a_program_of_a_folder_that_is_trained_on_elsewhere_is_found(shelf: Path) -> None:
    for name in ("Here", "There"):
        (shelf / name).mkdir()
        write_soundfont(shelf / name / "040.sf2", [(0, 40)], brightness=3)
    write_soundfont(shelf / "There" / "056.sf2", [(0, 56)], brightness=4)
    soundfonts = "{train: [{name: Here, only: [Violin]}, One], validation: [There]}"
    some = "instruments: [Violin, Trumpet], instruments_per_clip: [1], soundfont_per: stem"
    with pytest.raises(InvalidRecipeError, match=r"There validates .* Here has the same contents"):
        check_banks(recipe_of(soundfonts, some))
    write_soundfont(shelf / "There" / "040.sf2", [(0, 40)], brightness=5)
    assert set(check_banks(recipe_of(soundfonts, some))) == {"Here", "One", "There"}
