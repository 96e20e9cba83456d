"""The model host, with the shipped model."""

from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from safetensors.torch import load_file, save_file

from ml.checkpoint import (
    WEIGHTS_NAME,
    InvalidCheckpointError,
    ModelCard,
    read_card,
    weights_sha256,
    write_card,
)
from ml.dataset.storage import open_storage
from ml.errors import UnknownModelError
from ml.model_store import publish
from ml.relevance.engine import concept_layers
from worker.catalog import Catalog, model_from_card
from worker.errors import ModelGoneError
from worker.host import ModelHost, announcements, installed_models, with_layers
from worker.questions import ModelRef
from worker.settings import WorkerSettings


def test_the_shipped_models_are_announced() -> None:
    models = {model.id: model for model in announcements(WorkerSettings())}
    assert "Violin" in models["default"].labels
    assert set(models["default"].thresholds) == set(models["default"].labels)


def test_layers_are_those_of_the_loaded_model(host: ModelHost) -> None:
    announced = {model.id: with_layers(model) for model in announcements(WorkerSettings())}
    assert announced["default"].layers == concept_layers(host.default)
    assert announced["default"].layers[-1] == host.default.concept_layer


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


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(device="cpu", state_dir=tmp_path)


@pytest.fixture
def catalog(redis_url: str) -> Catalog:
    return Catalog(Redis.from_url(redis_url))


@pytest.fixture
def host(settings: WorkerSettings, catalog: Catalog) -> ModelHost:
    return ModelHost(settings, catalog)


def trained(folder: Path, *, first_weight: float, **fields: object) -> ModelCard:
    """A model called `winds`, made of the shipped one, with a weight and fields of the card of its own."""
    shipped = WorkerSettings().models_dir / "default"
    tensors = load_file(shipped / WEIGHTS_NAME)
    bias = next(name for name in tensors if name.endswith("bias"))
    tensors[bias][0] = first_weight
    folder.mkdir()
    save_file(tensors, folder / WEIGHTS_NAME)
    made = {"id": "winds", "sha256": weights_sha256(folder), **fields}
    card = read_card(shipped).model_copy(update=made)
    write_card(card, folder)
    return card


def published(folder: Path, settings: WorkerSettings, catalog: Catalog) -> ModelRef:
    """Publishes a model folder as a training does."""
    made = publish(open_storage(folder), open_storage(settings.models_place))
    fields = made.card.model_dump(mode="json")
    catalog.publish(model_from_card(fields, url=settings.models_place, version=made.version))
    return ModelRef(made.card.id, made.card.sha256, made.version)


def test_a_model_is_loaded_once(host: ModelHost) -> None:
    ref = ModelRef("default", host.default.card.sha256)
    assert host.model(ref) is host.model(ref) is host.default
    before = host.default
    host.forget()
    assert host.default is not before


def test_a_published_model_is_fetched_and_loaded_by_hash(
    host: ModelHost, settings: WorkerSettings, catalog: Catalog, tmp_path: Path
) -> None:
    first_card = trained(tmp_path / "first", first_weight=0.5)
    first = published(tmp_path / "first", settings, catalog)
    model = host.model(first)
    assert (model.card, host.model(first)) == (first_card, model)
    trained(tmp_path / "second", first_weight=0.25)
    second = published(tmp_path / "second", settings, catalog)
    assert host.model(second).card.sha256 == second.sha256 != first.sha256
    fresh = ModelHost(settings, catalog)
    assert fresh.model(first).card.sha256 == first.sha256  # still kept, for jobs that were accepted with it
    known = catalog.published("winds")
    assert known is not None
    assert ModelRef(known.id, known.sha256, known.version) == second


def test_equal_weights_do_not_lend_each_other_their_cards(
    host: ModelHost, settings: WorkerSettings, catalog: Catalog, tmp_path: Path
) -> None:
    first = trained(tmp_path / "first", first_weight=0.5)
    renamed: dict[str, Any] = {
        "labels": ("Renamed", *first.labels[1:]),
        "thresholds": dict.fromkeys(first.labels, 0.125),
    }
    cards: tuple[dict[str, Any], ...] = ({}, {"id": "copy"}, renamed)
    folders = [tmp_path / f"folder-{place}" for place in range(len(cards))]
    made = [
        trained(folder, first_weight=0.5, **fields) for folder, fields in zip(folders, cards, strict=True)
    ]
    refs = [published(folder, settings, catalog) for folder in folders]
    assert len({ref.sha256 for ref in refs}) == 1
    for asked in (host, ModelHost(settings, catalog)):  # before and after the copies are in the local cache
        assert [asked.model(ref).card for ref in refs] == made


def test_a_hash_that_is_gone_is_a_clear_failure(
    host: ModelHost, settings: WorkerSettings, catalog: Catalog, tmp_path: Path
) -> None:
    trained(tmp_path / "first", first_weight=0.5)
    published(tmp_path / "first", settings, catalog)
    with pytest.raises(ModelGoneError, match="'winds' with the weights 0000000000000000"):
        host.model(ModelRef("winds", "00" * 32, "11" * 32))
    with pytest.raises(ModelGoneError):
        host.model(ModelRef("best", "00" * 32))


def test_weights_that_were_changed_are_refused(
    host: ModelHost, settings: WorkerSettings, catalog: Catalog, tmp_path: Path
) -> None:
    trained(tmp_path / "first", first_weight=0.5)
    ref = published(tmp_path / "first", settings, catalog)
    weights = Path(settings.models_place) / "winds" / ref.version / WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(InvalidCheckpointError, match="have hash"):
        host.model(ref)


def test_a_new_redis_learns_of_published_models(
    host: ModelHost, settings: WorkerSettings, catalog: Catalog, tmp_path: Path, redis_url: str
) -> None:
    trained(tmp_path / "first", first_weight=0.5)
    ref = published(tmp_path / "first", settings, catalog)
    Redis.from_url(redis_url).flushall()
    host.remember_published()
    catalog.announce("worker", announcements(settings))
    found = catalog.model("winds")
    assert ModelRef(found.id, found.sha256, found.version) == ref
    assert found.layers == concept_layers(host.default)
    assert {model.id for model in catalog.models()} >= {"default", "winds"}


def test_only_so_many_models_stay_loaded(
    host: ModelHost,
    settings: WorkerSettings,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.host.MOST_LOADED", 1)
    trained(tmp_path / "first", first_weight=0.5)
    first = published(tmp_path / "first", settings, catalog)
    loaded, default = host.model(first), host.default
    trained(tmp_path / "second", first_weight=0.25)
    ref = published(tmp_path / "second", settings, catalog)
    second = host.model(ref)
    assert host.model(ref) is second
    assert host.model(first) is not loaded
    assert host.default is default
