"""Calibration on a left-out SoundFont: what fits the fold is written into the final model's card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml.checkpoint import read_card, weights_sha256
from ml.dataset.build import build_dataset
from ml.dataset.reader import SplitReader
from ml.dataset.shards import ShardContent
from ml.errors import InvalidRequestError
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import SEARCH_PATH_VARIABLE
from ml.training.calibrate import DOUBT, calibrate
from ml.training.config import TrainingConfig
from ml.training.train import train
from tests.unit.ml.synthesis.banks_made import write_soundfont

RECIPE = Recipe(
    name="two-banks",
    seed=8,
    n_clips=60,
    clip_duration_s=1.0,
    validation_share=0.2,
    instruments=("Piccolo", "Acoustic Bass"),
    instruments_per_clip=(1,),
    soundfonts=("dull", "bright"),
    melody=RandomMelody(pitch_range="natural"),
)
FOLDED = 1e-3  # batch norms are folded into the weights of a loaded model, which rounds

CONFIG = TrainingConfig(n_epochs=1, batch_size=16, remix=True, seed=1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    banks, folder = tmp_path_factory.mktemp("banks"), tmp_path_factory.mktemp("two-banks")
    for name, brightness in (("dull", 2), ("bright", 9)):
        write_soundfont(banks / f"{name}.sf2", [(0, 72), (0, 32)], brightness)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SEARCH_PATH_VARIABLE, str(banks))
        build_dataset(RECIPE, folder, content=ShardContent(audio=False))
    return folder


@pytest.fixture(scope="module")
def fold(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "fold"
    config = CONFIG.model_copy(update={"left_out_soundfonts": ("bright",)})
    train(dataset, folder, config, model_id="fold", device="cpu")
    return folder


def test_a_fold_validates_on_the_soundfont_it_left_out(dataset: Path, fold: Path) -> None:
    card = read_card(fold)
    assert [source.name for source in card.sounds] == ["dull"]
    assert card.metrics["split"] == "left out"
    assert {"dull", "bright"} == set(SplitReader(dataset, "train").soundfonts.tolist())


def test_calibrating_changes_the_card_and_not_the_weights(dataset: Path, fold: Path, tmp_path: Path) -> None:
    before = train(dataset, tmp_path, CONFIG, model_id="final", device="cpu")
    after = calibrate(tmp_path, dataset, [fold], device="cpu")
    assert read_card(tmp_path) == after
    assert after.sha256 == before.sha256 == weights_sha256(tmp_path)
    assert after.training["calibrated_on"]["left_out_soundfonts"] == ["bright"]
    # one fold, one SoundFont: its own offsets count a ninth against their mean
    of_fold = read_card(fold)
    mean = sum(of_fold.calibration.offsets.values()) / 2
    expected = {
        label: mean + (own - mean) / (1 + DOUBT) for label, own in of_fold.calibration.offsets.items()
    }
    assert after.calibration.scale == pytest.approx(of_fold.calibration.scale, abs=FOLDED)
    assert after.calibration.offsets == pytest.approx(expected, abs=FOLDED)
    assert after.calibration != before.calibration
    # thresholds lie in 0.05..0.95 and keep a ninth of their spread
    assert np.ptp(list(after.thresholds.values())) <= 0.9 / (1 + DOUBT) + 1e-3


def test_what_is_no_fold_is_refused(dataset: Path, fold: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, CONFIG, model_id="final", device="cpu")
    with pytest.raises(InvalidRequestError, match="left no SoundFont out"):
        calibrate(tmp_path, dataset, [tmp_path], device="cpu")
