"""The model store: where trainings leave their models, and from where every machine fetches them, by hash.

A store holds, for a model with id `winds`,

* `.cards/winds.json`                      the card of its present version, written last;
* `winds/<version>/weights.safetensors`,
  `winds/<version>/model.json`             a version, never changed; with it whatever else belongs to it
                                           (`curves.png`).

A version is named by the SHA-256 of its card, byte for byte. The card holds the hash of the weights, so the
name stands for both: equal weights under other labels, thresholds or another id are another version. No id
begins with a dot, so no model's folder is that of the cards.

Making a model anew adds a version and then changes the card, so that a reader sees the old model or the new
one, whole. The version before the present one is kept, for whoever is still at work with it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ml.checkpoint import CARD_NAME, WEIGHTS_NAME, InvalidCheckpointError, ModelCard
from ml.dataset.storage import Storage
from ml.errors import StorageError, UnknownModelError

CURVES_NAME = "curves.png"
_HISTORY_NAME = "versions.txt"
_CARDS = ".cards"


@dataclass(frozen=True)
class ModelVersion:
    """A model of a store: its card, and the SHA-256 of that card's bytes, which names the version."""

    card: ModelCard
    version: str


def publish(source: Storage, store: Storage) -> ModelVersion:
    """Put a finished model where every machine finds it.

    Parameters
    ----------
    source : Storage
        A model folder: card and weights, perhaps curves.
    store : Storage
        The model store.

    Returns
    -------
    ModelVersion

    Raises
    ------
    InvalidCheckpointError
        When the weights are not those of the card; nothing is published then.
    StorageError
        When something cannot be read or written; the present version stays as it was.
    """
    data = source.read(CARD_NAME)
    made = _read(data, f"{source}/{CARD_NAME}")
    weights = source.read(WEIGHTS_NAME)
    found = hashlib.sha256(weights).hexdigest()
    if found != made.card.sha256:
        raise InvalidCheckpointError(f"The weights in {source} have hash {found}, not {made.card.sha256}.")
    model = store.child(made.card.id)
    folder = model.child(made.version)
    folder.write_whole(WEIGHTS_NAME, weights)
    if source.exists(CURVES_NAME):
        folder.write_whole(CURVES_NAME, source.read(CURVES_NAME))
    folder.write_whole(CARD_NAME, data)
    earlier = [version for version in _versions(model) if version != made.version]
    kept = (*earlier[-1:], made.version)
    model.write_whole(_HISTORY_NAME, "".join(f"{version}\n" for version in kept).encode())
    store.child(_CARDS).write_whole(f"{made.card.id}.json", data)
    for version in earlier[:-1]:
        model.child(version).remove_all()
    return made


def published_models(store: Storage) -> Iterable[ModelVersion]:
    """Every model's present version; those whose card is damaged are left out.

    Parameters
    ----------
    store : Storage

    Yields
    ------
    ModelVersion

    Raises
    ------
    StorageError
        When the store cannot be read.
    """
    cards = store.child(_CARDS)
    for name in cards.list():
        try:
            yield _read(cards.read(name), f"{cards}/{name}")
        except InvalidCheckpointError:
            continue


def fetch(store: Storage, model_id: str, version: str, cache: Path) -> Path:
    """Fetch a version of a model, once for every machine.

    Parameters
    ----------
    store : Storage
    model_id : str
    version : str
        As `ModelVersion` names it.
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
    folder = cache / version
    if (folder / CARD_NAME).is_file():
        return folder
    place = store.child(model_id).child(version)
    if not place.exists(CARD_NAME):
        raise UnknownModelError(
            f"The model store {store} has no version {version[:16]} of model {model_id!r}.",
            extra={"unknown": model_id},
        )
    files = place.read_many((CARD_NAME, WEIGHTS_NAME))
    found = _read(files[CARD_NAME], f"{place}/{CARD_NAME}")
    if found.version != version:
        raise InvalidCheckpointError(f"The card in {place} has hash {found.version}, not {version}.")
    sha256 = hashlib.sha256(files[WEIGHTS_NAME]).hexdigest()
    if sha256 != found.card.sha256:
        raise InvalidCheckpointError(f"The weights in {place} have hash {sha256}, not {found.card.sha256}.")
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


def _read(data: bytes, where: str) -> ModelVersion:
    try:
        return ModelVersion(ModelCard.model_validate_json(data), hashlib.sha256(data).hexdigest())
    except ValidationError as error:
        raise InvalidCheckpointError(f"The model card {where} is not valid.") from error
