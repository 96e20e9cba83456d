"""Training: it learns, resumes to the same weights, and leaves a model folder that loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ml.checkpoint import CARD_NAME, InvalidCheckpointError, read_card, weights_sha256, write_card
from ml.dataset.build import build_dataset
from ml.dataset.manifest import InvalidDatasetError
from ml.dataset.reader import SplitReader
from ml.dataset.shards import ShardContent
from ml.dataset.storage import open_storage
from ml.errors import InvalidRequestError, StorageError, UnknownModelError
from ml.melspec import MelConfig, scaled
from ml.model import load_model
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.recipe import Recipe
from ml.training.config import TrainingConfig, parse_config, read_config
from ml.training.mixing import mix_pairs
from ml.training.run import open_run
from ml.training.scaling import scaled_batch
from ml.training.state import EpochRecord, ModelConflictError
from ml.training.train import train

RECIPE = Recipe(
    name="duet",
    seed=5,
    n_clips=48,
    clip_duration_s=1.0,
    validation_share=0.25,
    instruments=("Piccolo", "Acoustic Bass"),
    instruments_per_clip=(1, 2),
    melody=RandomMelody(pitch_range="natural"),
)
CONFIG = TrainingConfig(n_epochs=8, batch_size=8, mix_probability=0.2, seed=1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("duet")
    build_dataset(RECIPE, folder, content=ShardContent(audio=False))
    return folder


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "duet"
    train(dataset, folder, CONFIG, model_id="duet", device="cpu")
    return folder


def test_it_learns_to_tell_a_piccolo_from_a_bass(trained: Path) -> None:
    card = read_card(trained)
    history = card.training["history"]
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    assert card.metrics["macro_f1"] > 0.9


def test_the_card_says_how_the_model_was_made(trained: Path, dataset: Path) -> None:
    card = read_card(trained)
    assert (card.id, card.network, card.labels) == ("duet", "default", RECIPE.instruments)
    assert card.sha256 == weights_sha256(trained)
    assert card.dataset["digest"] == SplitReader(dataset, "train").manifest.digest
    assert card.training["seed"] == 1
    assert MelConfig.from_dict(dict(card.mel)) == MelConfig()
    assert [source.name for source in card.sounds] == ["FluidR3_GM"]
    assert card.sounds[0].licence.startswith("MIT")
    assert set(card.thresholds) == set(card.labels)
    assert (trained / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert not (trained / "training").exists()


def test_an_interrupted_run_resumes_to_the_very_same_weights(
    trained: Path, dataset: Path, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop_after_two(record: EpochRecord, n_epochs: int) -> None:
        if record.epoch == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(dataset, tmp_path, CONFIG, model_id="duet", device="cpu", on_epoch=stop_after_two)
    epochs: list[int] = []
    train(
        dataset,
        tmp_path,
        CONFIG,
        model_id="duet",
        device="cpu",
        on_epoch=lambda record, n_epochs: epochs.append(record.epoch),
    )
    assert epochs == [3, 4, 5, 6, 7, 8]
    expected, found = (load_file(folder / "weights.safetensors") for folder in (trained, tmp_path))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_another_run_or_a_finished_model_is_not_replaced_unasked(
    trained: Path, dataset: Path, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(record: EpochRecord, n_epochs: int) -> None:
        epochs.append(record.epoch)
        raise StoppedError

    def start(seed: int, folder: Path, overwrite: bool = False) -> None:
        config = TrainingConfig(n_epochs=2, batch_size=8, seed=seed)
        train(dataset, folder, config, model_id="x", device="cpu", overwrite=overwrite, on_epoch=stop)

    epochs: list[int] = []
    with pytest.raises(StoppedError):
        start(1, tmp_path)
    with pytest.raises(ModelConflictError, match="unfinished run of another configuration"):
        start(2, tmp_path)
    with pytest.raises(StoppedError):
        start(1, tmp_path)
    with pytest.raises(StoppedError):
        start(2, tmp_path, overwrite=True)
    assert epochs == [1, 2, 1]
    before = (trained / "weights.safetensors").read_bytes()
    with pytest.raises(ModelConflictError, match="already holds a finished model"):
        start(1, trained)
    assert (trained / "weights.safetensors").read_bytes() == before


def test_what_cannot_be_trained_is_refused_before_anything_is_made(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(InvalidRequestError, match="'My Model' cannot be a model's id"):
        train(dataset, folder, CONFIG, model_id="My Model", device="cpu")
    with pytest.raises(InvalidDatasetError):
        train(tmp_path, folder, CONFIG, model_id="x", device="cpu")
    assert not folder.exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be made"):
        train(dataset, tmp_path / "file" / "model", CONFIG, model_id="x", device="cpu")


def test_weights_can_be_read_by_other_users(trained: Path) -> None:
    assert (trained / "weights.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_damaged_checkpoint_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"no model\.json"):
        load_model(tmp_path)
    card = read_card(trained)
    weights = (trained / "weights.safetensors").read_bytes()
    write_card(card, tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(weights[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(InvalidCheckpointError, match="its card says"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(weights)
    write_card(card.model_copy(update={"network": "reference"}), tmp_path)
    with pytest.raises(InvalidCheckpointError, match="do not fit network 'reference'"):
        load_model(tmp_path)
    (tmp_path / CARD_NAME).write_text('{"id": "x"}')
    with pytest.raises(InvalidCheckpointError, match="is not valid"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n_epochs": 0}, "n_epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"mix_probability": 1.5}, "mix_probability"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"network": "nope"}, "network"),
        ({"epochs": 3}, "epochs"),
        ({"augment": True}, "augment need remix"),
        ({"remix": True, "mix_probability": 0.5}, "cannot both"),
        ({"remix": True, "sounding_weight": 1.0, "network": "reference"}, "reference gives none"),
        ({"number_weights": [0.0]}, "number_weights"),
    ],
)
def test_senseless_configurations_are_refused_by_name(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        parse_config(wrong)


def test_a_configuration_file_is_read_and_overridden(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("network: reference\nn_epochs: 3\n")
    config = read_config(path, {"n_epochs": 5})
    assert (config.network, config.n_epochs) == ("reference", 5)
    path.write_text("- 3")
    with pytest.raises(InvalidRequestError, match="not a mapping"):
        read_config(path, {})
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        read_config(tmp_path / "none.yaml", {})


REMIXED = TrainingConfig(
    n_epochs=2,
    batch_size=8,
    remix=True,
    augment=True,
    examples_per_epoch=20,
    crop_s=0.75,
    sounding_weight=0.5,
    relevance_weight=1.0,
    seed=3,
)


def test_a_run_in_pieces_ends_with_the_weights_of_a_run_in_one_go(dataset: Path, tmp_path: Path) -> None:
    whole = train(dataset, tmp_path / "whole", REMIXED, model_id="x", device="cpu")
    n_pieces = 0
    while True:  # every piece is a new run, as on another worker, and is over after one step
        run = open_run(dataset, open_storage(tmp_path / "pieces"), REMIXED, model_id="x", device="cpu")
        n_pieces += 1
        if run.advance(0.0):
            break
    pieces = run.finish()
    assert n_pieces == 6  # three steps in each of two epochs
    assert pieces.sha256 == whole.sha256
    assert pieces.calibration == whole.calibration
    assert [name for name in open_storage(tmp_path / "pieces").list() if "training" in name] == []


def test_a_run_that_is_stopped_early_keeps_its_best_epoch(dataset: Path, tmp_path: Path) -> None:
    run = open_run(dataset, open_storage(tmp_path), REMIXED, model_id="x", device="cpu")
    with pytest.raises(InvalidRequestError, match="before its first epoch"):
        run.finish()
    while not run.epochs:
        run.advance(0.0)
    card = run.finish()
    assert card.training["epochs_done"] == 1 < card.training["n_epochs"]
    assert load_model(tmp_path).card == card


def test_a_run_can_begin_with_another_models_weights(trained: Path, dataset: Path, tmp_path: Path) -> None:
    still = CONFIG.model_copy(update={"n_epochs": 1, "learning_rate": 1e-9})
    card = train(dataset, tmp_path / "on", still, model_id="x", device="cpu", start_from=trained)
    before, after = (load_file(f / "weights.safetensors") for f in (trained, tmp_path / "on"))
    torch.testing.assert_close(after["head.weight"], before["head.weight"])
    assert card.training["started_from"]["sha256"] == read_card(trained).sha256
    other = still.model_copy(update={"network": "reference"})
    with pytest.raises(InvalidRequestError, match="cannot be gone on with"):
        train(dataset, tmp_path / "no", other, model_id="x", device="cpu", start_from=trained)


def test_what_a_remixed_run_needs_is_checked_first(dataset: Path, tmp_path: Path) -> None:
    unknown = REMIXED.model_copy(update={"left_out_soundfonts": ("Nowhere",)})
    with pytest.raises(InvalidDatasetError, match="Nowhere"):
        train(dataset, tmp_path, unknown, model_id="x", device="cpu")
    everything = REMIXED.model_copy(update={"left_out_soundfonts": ("FluidR3_GM",)})
    with pytest.raises(InvalidDatasetError, match="nothing is left to train on"):
        train(dataset, tmp_path, everything, model_id="x", device="cpu")
    plain = TrainingConfig(left_out_soundfonts=("FluidR3_GM",))
    with pytest.raises(InvalidDatasetError, match="needs remix"):
        train(dataset, tmp_path, plain, model_id="x", device="cpu")


def test_mixing_adds_powers_and_unites_labels() -> None:
    levels = torch.full((2, 3, 4), 10.0)
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    mixed, united = mix_pairs(levels, labels, 1.0, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rng.random(2)
    partners, gains_db = rng.permutation(2), rng.uniform(-6.0, 6.0, 2)
    for index in range(2):
        expected = 10 * np.log10(10 ** (10.0 / 10) + 10 ** ((10.0 + gains_db[index]) / 10))
        assert mixed[index].numpy() == pytest.approx(np.full((3, 4), expected), abs=1e-4)
        assert torch.equal(united[index], torch.maximum(labels[index], labels[partners[index]]))
    untouched, same = mix_pairs(levels, labels, 0.0, np.random.default_rng(3))
    assert torch.equal(untouched, levels)
    assert torch.equal(same, labels)


def test_batches_are_scaled_as_serving_scales() -> None:
    levels = np.random.default_rng(0).normal(-20.0, 25.0, (3, 8, 9)).astype(np.float32)
    found = scaled_batch(torch.from_numpy(levels), MelConfig())[:, 0].numpy()
    np.testing.assert_allclose(found, scaled(levels, MelConfig()), atol=1e-6)
