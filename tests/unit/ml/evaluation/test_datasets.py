"""Finished data sets as tests: their validation parts, heard from their log-mels."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.checkpoint import SHIPPED_MODELS, read_card, write_card
from ml.dataset.build import build_dataset
from ml.dataset.reader import SplitReader
from ml.errors import InvalidRequestError
from ml.evaluation.clips import PlannedClip
from ml.evaluation.evaluate import EvaluationSettings, evaluate
from ml.evaluation.kinship import Kinship, kinship
from ml.evaluation.suites.datasets import DatasetsSuite
from ml.evaluation.suites.suite import Request
from ml.model import Model
from ml.synthesis.bank_check import check_banks
from ml.synthesis.instantiate import instantiate
from ml.synthesis.recipe import Recipe

HALF_PRECISION = 0.02  # of a probability: log-mels are kept as float16


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe(name="duets", seed=3, n_clips=8, validation_share=0.5, instruments_per_clip=(2,))


@pytest.fixture(scope="module")
def place(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("duets")
    build_dataset(recipe, folder)
    return str(folder)


def test_stored_clips_are_heard_as_their_sound_is(shipped: Model, recipe: Recipe, place: str) -> None:
    (clip_set,) = DatasetsSuite().clip_sets(Request(shipped.card, n_clips=1, seed=1, datasets=(place,)))
    plans = {plan.clip_id: plan for plan in instantiate(recipe) if plan.split == "validation"}
    assert {clip.clip_id for clip in clip_set.clips} == set(plans)
    banks = check_banks(recipe)
    for clip in clip_set.clips:
        sound = PlannedClip(plans[clip.clip_id], banks)
        assert clip.playing == sound.playing
        (stored,), (rendered,) = clip.classifications([shipped]), sound.classifications([shipped])
        given = {score.instrument: score.probability for score in rendered.instruments}
        np.testing.assert_allclose(
            [score.probability for score in stored.instruments],
            [given[score.instrument] for score in stored.instruments],
            atol=HALF_PRECISION,
        )


def test_a_data_set_has_its_section(place: str) -> None:
    report = evaluate(
        EvaluationSettings(model=SHIPPED_MODELS / "default", suites=("datasets",), datasets=(place,))
    )
    (row,) = report.summary
    assert (row.set_name, row.n_clips) == ("Validation part of duets", 4)
    fields = report.to_dict()["suites"]["datasets"]["duets"]  # type: ignore[index]
    assert fields["digest"] == SplitReader(place, "validation").manifest.digest
    assert fields["trained_on"] is fields["fitted_on"] is False
    assert "The model was not trained on this data set." in report.to_markdown()


def test_a_report_on_the_clips_that_thresholds_were_fitted_on_says_so(place: str, tmp_path: Path) -> None:
    digest = SplitReader(place, "validation").manifest.digest
    shipped, known = SHIPPED_MODELS / "default", tmp_path / "known"
    shutil.copytree(shipped, known)
    card = read_card(shipped)
    training = {name: value for name, value in card.training.items() if name != "calibrated_on"}
    write_card(card.model_copy(update={"dataset": {"digest": digest}, "training": training}), known)
    report = evaluate(EvaluationSettings(model=known, suites=("datasets",), datasets=(place,)))
    assert [row.set_name for row in report.summary] == ["Validation part (known to the model) of duets"]
    assert report.to_dict()["suites"]["datasets"]["duets"]["fitted_on"] is True  # type: ignore[index]
    text = report.to_markdown()
    assert (
        "**The model knows these clips: its calibration and thresholds were fitted on these very clips."
        in text
    )
    compared = evaluate(
        EvaluationSettings(model=shipped, suites=("datasets",), datasets=(place,), compared=(known,))
    )
    assert "The model was not trained on this data set." in compared.to_markdown()
    assert f"**The compared model `{card.id}` knows these clips" in compared.to_markdown()


@pytest.mark.parametrize(
    ("dataset", "training", "expected"),
    [
        ("d", {}, Kinship(True, False, True, False)),  # a card of before there was calibrated_on
        ("d", {"calibrated_on": {"split": "validation"}}, Kinship(True, False, True, False)),
        ("d", {"calibrated_on": {"left_out_soundfonts": ["A"]}}, Kinship(True, False, False, True)),
        (
            "other",
            {"calibrated_on": {"left_out_soundfonts": ["A"], "dataset_digest": "d"}},
            Kinship(False, False, False, True),
        ),
        (
            "other",
            {"calibrated_on": {"split": "validation", "dataset_digest": "d"}},
            Kinship(False, False, True, False),
        ),
        ("other", {"started_from": {"dataset_digest": "d"}}, Kinship(False, True, False, False)),
        ("other", {"started_from": None}, Kinship(False, False, False, False)),
    ],
)
def test_the_card_says_what_a_model_has_to_do_with_a_data_set(
    shipped: Model, dataset: str, training: dict[str, Any], expected: Kinship
) -> None:
    card = shipped.card.model_copy(update={"dataset": {"digest": dataset}, "training": training})
    assert kinship(card, "d") == expected
    assert ("knows these clips" in expected.told("The model")) is expected.fitted_on
    assert ("was not trained on" in expected.told("The model")) is (not any(asdict(expected).values()))


def test_what_a_model_cannot_be_tested_on_is_refused(shipped: Model, place: str) -> None:
    small = shipped.card.model_copy(update={"labels": shipped.card.labels[1:]})
    with pytest.raises(InvalidRequestError, match="has no label for Acoustic Grand Piano"):
        DatasetsSuite().clip_sets(Request(small, n_clips=1, seed=1, datasets=(place,)))
    other = shipped.card.model_copy(update={"mel": {**shipped.card.mel, "n_mels": 64}})
    with pytest.raises(InvalidRequestError, match="another mel configuration"):
        DatasetsSuite().clip_sets(Request(other, n_clips=1, seed=1, datasets=(place,)))
    with pytest.raises(InvalidRequestError, match="--dataset"):
        DatasetsSuite().clip_sets(Request(shipped.card, n_clips=1, seed=1))
