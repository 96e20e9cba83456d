"""What a model's card says of a data set: a recipe whole, of recordings only how many there were."""

from __future__ import annotations

from ml.dataset.manifest import FolderSource, RecipeSource
from ml.synthesis.recipe import Recipe


def test_the_summary_of_a_folder_names_none_of_its_files() -> None:
    files = {f"Flute/take {number}.wav": f"{number:064x}" for number in range(1_000)}
    skipped = {"Flute/broken.wav": "is truncated"}
    source = FolderSource("flutes", files, skipped, validation_share=0.25, seed=7)
    assert source.summary() == {
        "kind": "folder",
        "name": "flutes",
        "n_files": 1_000,
        "n_skipped": 1,
        "validation_share": 0.25,
        "seed": 7,
    }
    assert source.to_dict()["files"] == files  # the manifest keeps them


def test_the_summary_of_a_recipe_is_enough_to_make_the_data_set_again() -> None:
    recipe = Recipe(name="tiny", n_clips=4, seed=3)
    summary = RecipeSource(recipe, recipe.digest, {"FluidR3_GM": "0" * 64}).summary()
    assert Recipe.model_validate(summary["recipe"]) == recipe
    assert summary["recipe_sha256"] == recipe.digest
    assert summary["soundfonts"] == {"FluidR3_GM": "0" * 64}
