"""The model store: versions by hash, the present one by name, nothing half."""

from pathlib import Path

import pytest

from ml.checkpoint import (
    SHIPPED_MODELS,
    WEIGHTS_NAME,
    InvalidCheckpointError,
    read_card,
    weights_sha256,
    write_card,
)
from ml.dataset.storage import Storage, open_storage
from ml.errors import UnknownModelError
from ml.model_store import CURVES_NAME, fetch, publish, published_cards


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty model store."""
    kind = tmp_path / "models" if request.param == "folder" else f"memory://{tmp_path.name}"
    return open_storage(kind)


def version(tmp_path: Path, content: bytes) -> Storage:
    """A model called `winds` whose weights are these bytes."""
    folder = tmp_path / content.decode()
    folder.mkdir()
    (folder / WEIGHTS_NAME).write_bytes(content)
    (folder / CURVES_NAME).write_bytes(b"curves of " + content)
    shipped = read_card(SHIPPED_MODELS / "default")
    write_card(shipped.model_copy(update={"id": "winds", "sha256": weights_sha256(folder)}), folder)
    return open_storage(folder)


def test_what_was_published_is_fetched_once(store: Storage, tmp_path: Path) -> None:
    card = publish(version(tmp_path, b"first"), store)
    folder = fetch(store, "winds", card.sha256, tmp_path / "cache")
    assert read_card(folder) == card
    assert (folder / WEIGHTS_NAME).read_bytes() == b"first"
    assert store.child("winds").child(card.sha256).read(CURVES_NAME) == b"curves of first"
    store.child("winds").remove_all()
    assert fetch(store, "winds", card.sha256, tmp_path / "cache") == folder
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [card.sha256]


def test_the_present_version_and_the_one_before_are_kept(store: Storage, tmp_path: Path) -> None:
    cards = [publish(version(tmp_path, content), store) for content in (b"first", b"second", b"third")]
    assert list(published_cards(store)) == [cards[-1]]
    for card in cards[1:]:
        fetch(store, "winds", card.sha256, tmp_path / "cache")
    with pytest.raises(UnknownModelError, match="has no version"):
        fetch(store, "winds", cards[0].sha256, tmp_path / "cache")


def test_publishing_the_same_again_changes_nothing(store: Storage, tmp_path: Path) -> None:
    first, second = version(tmp_path, b"first"), version(tmp_path, b"second")
    before = publish(first, store)
    card = publish(second, store)
    assert publish(second, store) == card
    assert list(published_cards(store)) == [card]
    fetch(store, "winds", before.sha256, tmp_path / "cache")


def test_damage_is_noticed(store: Storage, tmp_path: Path) -> None:
    card = publish(version(tmp_path, b"first"), store)
    store.child("winds").child(card.sha256).write_whole(WEIGHTS_NAME, b"fisrt")
    with pytest.raises(InvalidCheckpointError, match="have hash"):
        fetch(store, "winds", card.sha256, tmp_path / "cache")
    assert not (tmp_path / "cache" / card.sha256).exists()
    store.write_whole("other.json", b"{}")
    assert list(published_cards(store)) == [card]


def test_what_does_not_belong_together_is_not_published(store: Storage, tmp_path: Path) -> None:
    source = version(tmp_path, b"first")
    source.write_whole(WEIGHTS_NAME, b"other")
    with pytest.raises(InvalidCheckpointError):
        publish(source, store)
    assert list(published_cards(store)) == []


def test_unknown_models_are_told(store: Storage, tmp_path: Path) -> None:
    assert list(published_cards(store)) == []
    with pytest.raises(UnknownModelError, match="'winds'"):
        fetch(store, "winds", "00" * 32, tmp_path / "cache")
