"""The model store: where trainings leave their models, and from where every machine fetches them, by hash.

A store holds, for a model with id `winds`,

* `winds.json`                             the card of its present version, written last;
* `winds/<sha256>/weights.safetensors`,
  `winds/<sha256>/model.json`              a version, under the hash of its weights, never changed; with it
                                           whatever else belongs to it (`curves.png`).

Making a model anew adds a version and then changes the card, so that a reader sees the old model or the new
one, whole. The version before the present one is kept, for whoever is still at work with it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from ml.checkpoint import CARD_NAME, WEIGHTS_NAME, InvalidCheckpointError, ModelCard
from ml.dataset.storage import Storage
from ml.errors import StorageError, UnknownModelError

CURVES_NAME = "curves.png"
_HISTORY_NAME = "versions.txt"


def publish(source: Storage, store: Storage) -> ModelCard:
    """Put a finished model where every machine finds it.

    Parameters
    ----------
    source : Storage
        A model folder: card and weights, perhaps curves.
    store : Storage
        The model store.

    Returns
    -------
    ModelCard

    Raises
    ------
    InvalidCheckpointError
        When the weights are not those of the card; nothing is published then.
    StorageError
        When something cannot be read or written; the present version stays as it was.
    """
    card = _card(source.read(CARD_NAME), f"{source}/{CARD_NAME}")
    weights = source.read(WEIGHTS_NAME)
    found = hashlib.sha256(weights).hexdigest()
    if found != card.sha256:
        raise InvalidCheckpointError(f"The weights in {source} have hash {found}, not {card.sha256}.")
    model = store.child(card.id)
    version = model.child(card.sha256)
    version.write_whole(WEIGHTS_NAME, weights)
    if source.exists(CURVES_NAME):
        version.write_whole(CURVES_NAME, source.read(CURVES_NAME))
    version.write_whole(CARD_NAME, source.read(CARD_NAME))
    earlier = [sha256 for sha256 in _versions(model) if sha256 != card.sha256]
    kept = (*earlier[-1:], card.sha256)
    model.write_whole(_HISTORY_NAME, "".join(f"{sha256}\n" for sha256 in kept).encode())
    store.write_whole(f"{card.id}.json", source.read(CARD_NAME))
    for sha256 in earlier[:-1]:
        model.child(sha256).remove_all()
    return card


def published_cards(store: Storage) -> Iterable[ModelCard]:
    """The card of every model's present version; damaged ones are left out.

    Parameters
    ----------
    store : Storage

    Yields
    ------
    ModelCard

    Raises
    ------
    StorageError
        When the store cannot be read.
    """
    for name in store.list():
        if name.endswith(".json"):
            try:
                yield _card(store.read(name), f"{store}/{name}")
            except InvalidCheckpointError:
                continue


def fetch(store: Storage, model_id: str, sha256: str, cache: Path) -> Path:
    """Fetch a version of a model, once for every machine.

    Parameters
    ----------
    store : Storage
    model_id : str
    sha256 : str
        Of the weights.
    cache : Path
        A folder of this machine; made when missing.

    Returns
    -------
    Path
        A model folder, as `ml.model.load_model` takes it.

    Raises
    ------
    UnknownModelError
        When the store has no such version (any more).
    InvalidCheckpointError
        When what it has is damaged.
    StorageError
        When the store cannot be read, or the cache not be written.
    """
    folder = cache / sha256
    if (folder / CARD_NAME).is_file():
        return folder
    version = store.child(model_id).child(sha256)
    if not version.exists(CARD_NAME):
        raise UnknownModelError(
            f"The model store {store} has no version {sha256[:16]} of model {model_id!r}.",
            extra={"unknown": model_id},
        )
    files = version.read_many((CARD_NAME, WEIGHTS_NAME))
    card = _card(files[CARD_NAME], f"{version}/{CARD_NAME}")
    found = hashlib.sha256(files[WEIGHTS_NAME]).hexdigest()
    if not found == card.sha256 == sha256:
        raise InvalidCheckpointError(f"The weights in {version} have hash {found}, not {sha256}.")
    try:
        _keep(files, folder)
    except OSError as error:
        raise StorageError(f"The model cache {cache} cannot be written: {error.strerror}.") from error
    return folder


def _keep(files: dict[str, bytes], folder: Path) -> None:
    """Writes a folder whole; another process may do the same at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".fetched-"))
    try:
        for name, data in files.items():
            (partial / name).write_bytes(data)
        partial.rename(folder)
    except OSError:
        if not (folder / CARD_NAME).is_file():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _versions(model: Storage) -> list[str]:
    """Versions that are kept, the oldest first."""
    return model.read(_HISTORY_NAME).decode().split() if model.exists(_HISTORY_NAME) else []


def _card(data: bytes, where: str) -> ModelCard:
    try:
        return ModelCard.model_validate_json(data)
    except ValidationError as error:
        raise InvalidCheckpointError(f"The model card {where} is not valid.") from error
