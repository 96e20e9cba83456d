"""The model host, with the shipped model."""

from pathlib import Path

import pytest

from ml.errors import UnknownModelError
from worker.host import ModelHost, announcements, installed_models
from worker.settings import WorkerSettings


def test_the_shipped_models_are_announced() -> None:
    models = {model.id: model for model in announcements(WorkerSettings())}
    assert "Violin" in models["default"].labels
    assert set(models["default"].thresholds) == set(models["default"].labels)


def test_a_worker_without_the_default_model_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="There is no model 'default'"):
        announcements(WorkerSettings(models_dir=tmp_path))
    with pytest.raises(UnknownModelError) as unknown:
        announcements(WorkerSettings(default_model="best"))
    assert "default" in str(unknown.value.extra["available"])


def test_models_are_known_by_their_cards(tmp_path: Path) -> None:
    shipped = WorkerSettings().models_dir
    (tmp_path / "folder").symlink_to(shipped / "default")
    (tmp_path / "notes").mkdir()
    assert installed_models(tmp_path) == {"default": tmp_path / "folder"}


def test_a_model_is_loaded_once() -> None:
    host = ModelHost(WorkerSettings(device="cpu"))
    assert host.model("default") is host.model("default")
    with pytest.raises(UnknownModelError):
        host.model("best")
    before = host.model("default")
    host.forget()
    assert host.model("default") is not before
