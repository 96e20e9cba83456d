"""Finished data sets as tests: their validation parts, heard from their log-mels."""

from __future__ import annotations

import numpy as np
import pytest

from ml.checkpoint import SHIPPED_MODELS
from ml.dataset.build import build_dataset
from ml.dataset.reader import SplitReader
from ml.errors import InvalidRequestError
from ml.evaluation.clips import PlannedClip
from ml.evaluation.evaluate import EvaluationSettings, evaluate
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
    assert fields["trained_on"] is False


def test_what_a_model_cannot_be_tested_on_is_refused(shipped: Model, place: str) -> None:
    small = shipped.card.model_copy(update={"labels": shipped.card.labels[1:]})
    with pytest.raises(InvalidRequestError, match="has no label for Acoustic Grand Piano"):
        DatasetsSuite().clip_sets(Request(small, n_clips=1, seed=1, datasets=(place,)))
    other = shipped.card.model_copy(update={"mel": {**shipped.card.mel, "n_mels": 64}})
    with pytest.raises(InvalidRequestError, match="another mel configuration"):
        DatasetsSuite().clip_sets(Request(other, n_clips=1, seed=1, datasets=(place,)))
    with pytest.raises(InvalidRequestError, match="--dataset"):
        DatasetsSuite().clip_sets(Request(shipped.card, n_clips=1, seed=1))
