"""The model store: versions by hash, the present one by name, nothing half."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ml.checkpoint import (
    CARD_NAME,
    SHIPPED_MODELS,
    WEIGHTS_NAME,
    InvalidCheckpointError,
    read_card,
    weights_sha256,
    write_card,
)
from ml.dataset.storage import Storage, open_storage
from ml.errors import UnknownModelError
from ml.model_store import CURVES_NAME, ModelVersion, fetch, publish, published_models


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty model store."""
    kind = tmp_path / "models" if request.param == "folder" else f"memory://{tmp_path.name}"
    return open_storage(kind)


def version(tmp_path: Path, content: bytes, **fields: object) -> Storage:
    """A model called `winds` whose weights are these bytes; the fields are its card's."""
    folder = tmp_path / f"{content.decode()}-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    (folder / WEIGHTS_NAME).write_bytes(content)
    (folder / CURVES_NAME).write_bytes(b"curves of " + content)
    shipped = read_card(SHIPPED_MODELS / "default")
    made = {"id": "winds", "sha256": weights_sha256(folder), **fields}
    write_card(shipped.model_copy(update=made), folder)
    return open_storage(folder)


def card_in(folder: Path) -> ModelVersion:
    """The version that lies in a model folder."""
    return ModelVersion(read_card(folder), hashlib.sha256((folder / CARD_NAME).read_bytes()).hexdigest())


def test_what_was_published_is_fetched_once(store: Storage, tmp_path: Path) -> None:
    made = publish(version(tmp_path, b"first"), store)
    folder = fetch(store, "winds", made.version, tmp_path / "cache")
    assert card_in(folder) == made
    assert (folder / WEIGHTS_NAME).read_bytes() == b"first"
    assert store.child("winds").child(made.version).read(CURVES_NAME) == b"curves of first"
    store.child("winds").remove_all()
    assert fetch(store, "winds", made.version, tmp_path / "cache") == folder
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [made.version]


def test_equal_weights_with_other_cards_are_other_versions(store: Storage, tmp_path: Path) -> None:
    cards: tuple[dict[str, Any], ...] = (
        {},
        {"id": "brass"},
        {"labels": ("Tin", "Whistle")},
        {"thresholds": {"Flute": 0.25}},
    )
    made = [publish(version(tmp_path, b"equal", **fields), store) for fields in cards]
    assert len({each.card.sha256 for each in made}) == 1
    # the one before is still there for who was accepted with it, though its weights are those of the present
    for each in (made[1], made[2], made[3]):
        assert card_in(fetch(store, each.card.id, each.version, tmp_path / "cache")) == each
    assert {each.card.id: each for each in published_models(store)} == {"winds": made[3], "brass": made[1]}


def test_ids_that_look_like_files_of_the_store_get_in_nobodys_way(store: Storage, tmp_path: Path) -> None:
    ids = ("winds", "winds.json", "versions.txt", "cards", "model.json")
    made = {each: publish(version(tmp_path, b"equal", id=each), store) for each in ids}
    assert {each.card.id: each for each in published_models(store)} == made
    for each in made.values():
        assert card_in(fetch(store, each.card.id, each.version, tmp_path / "cache")) == each


def test_the_present_version_and_the_one_before_are_kept(store: Storage, tmp_path: Path) -> None:
    made = [publish(version(tmp_path, content), store) for content in (b"first", b"second", b"third")]
    assert list(published_models(store)) == [made[-1]]
    for each in made[1:]:
        fetch(store, "winds", each.version, tmp_path / "cache")
    with pytest.raises(UnknownModelError, match="has no version"):
        fetch(store, "winds", made[0].version, tmp_path / "cache")


def test_publishing_the_same_again_changes_nothing(store: Storage, tmp_path: Path) -> None:
    first, second = version(tmp_path, b"first"), version(tmp_path, b"second")
    before = publish(first, store)
    made = publish(second, store)
    assert publish(second, store) == made
    assert list(published_models(store)) == [made]
    fetch(store, "winds", before.version, tmp_path / "cache")


def test_damage_is_noticed(store: Storage, tmp_path: Path) -> None:
    made = publish(version(tmp_path, b"first"), store)
    place = store.child("winds").child(made.version)
    place.write_whole(WEIGHTS_NAME, b"fisrt")
    with pytest.raises(InvalidCheckpointError, match=r"The weights .* have hash"):
        fetch(store, "winds", made.version, tmp_path / "cache")
    other = version(tmp_path, b"first", labels=("Tin",))
    place.write_whole(CARD_NAME, other.read(CARD_NAME))
    with pytest.raises(InvalidCheckpointError, match=r"The card .* has hash"):
        fetch(store, "winds", made.version, tmp_path / "cache")
    assert not (tmp_path / "cache" / made.version).exists()
    store.child(".cards").write_whole("other.json", b"{}")
    assert list(published_models(store)) == [made]


def test_what_does_not_belong_together_is_not_published(store: Storage, tmp_path: Path) -> None:
    source = version(tmp_path, b"first")
    source.write_whole(WEIGHTS_NAME, b"other")
    with pytest.raises(InvalidCheckpointError):
        publish(source, store)
    assert list(published_models(store)) == []


def test_unknown_models_are_told(store: Storage, tmp_path: Path) -> None:
    assert list(published_models(store)) == []
    with pytest.raises(UnknownModelError, match="'winds'"):
        fetch(store, "winds", "00" * 32, tmp_path / "cache")
