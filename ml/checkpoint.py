"""Checkpoints: a model folder holds `weights.safetensors` and `model.json`, its card.

This module reads and writes cards and checks hashes; it is free of torch, so that anything may list models.
Weights are loaded by `ml.model`, by safetensors only: a checkpoint never runs code.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.errors import InvalidRequestError, TimbrescopeError, UnknownModelError
from ml.probabilities import Calibration

WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "model.json"
MODEL_ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
SHIPPED_MODELS = Path(__file__).parent / "checkpoints"


class InvalidCheckpointError(TimbrescopeError):
    """A model folder whose card or weights are missing, damaged or of another format."""

    code = "invalid-checkpoint"


class SoundSource(BaseModel):
    """A SoundFont the model was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str
    licence: str


class ModelCard(BaseModel):
    """What `model.json` says.

    `labels` are in the order of the network's outputs; `calibration` makes probabilities of them;
    `thresholds` are the probabilities from which each counts as present; `mel` is `ml.melspec.MelConfig`;
    `sha256` is that of the weights file. `dataset`, `training` and `metrics` are plain records of how the
    model was made and how well it did on the validation part of its data set.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    id: Annotated[str, Field(pattern=MODEL_ID_PATTERN)]
    task: Literal["instruments"] = "instruments"
    network: str
    labels: tuple[str, ...]
    thresholds: dict[str, float]
    calibration: Calibration = Calibration()
    mel: dict[str, float | int]
    sha256: str
    dataset: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[str, Any]
    sounds: tuple[SoundSource, ...]


def check_model_id(model_id: str) -> None:
    """Refuse what cannot be a model's id.

    Parameters
    ----------
    model_id : str
        Lower-case letters, digits, dots, hyphens and underscores, 64 at most, a letter or digit first.

    Raises
    ------
    InvalidRequestError
    """
    if not re.fullmatch(MODEL_ID_PATTERN, model_id):
        raise InvalidRequestError(
            f"{model_id!r} cannot be a model's id: lower-case letters, digits, '.', '-' and '_' make one."
        )


def read_card(folder: Path) -> ModelCard:
    """Read a model folder's card.

    Parameters
    ----------
    folder : Path
        Holds `model.json`.

    Returns
    -------
    ModelCard

    Raises
    ------
    UnknownModelError
        When there is no such folder or card.
    InvalidCheckpointError
        When the card is damaged or of another format.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        raise UnknownModelError(
            f"There is no model in {folder} (no {CARD_NAME}).", extra={"unknown": str(folder)}
        )
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidCheckpointError(
            f"The model card {path} is not valid: {where}: {fault['msg']}."
        ) from error


def card_bytes(card: ModelCard) -> bytes:
    """What `model.json` holds."""
    return (json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()


def write_card(card: ModelCard, folder: Path) -> None:
    """Write `model.json`."""
    (folder / CARD_NAME).write_bytes(card_bytes(card))


def list_cards(models_dir: Path) -> tuple[ModelCard, ...]:
    """Cards of all models in a folder of model folders, by id."""
    folders = sorted(path.parent for path in models_dir.glob(f"*/{CARD_NAME}"))
    return tuple(sorted((read_card(folder) for folder in folders), key=lambda card: card.id))


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the weights file.

    Raises
    ------
    InvalidCheckpointError
        When the file is missing.
    """
    path = folder / WEIGHTS_NAME
    if not path.is_file():
        raise InvalidCheckpointError(f"The model in {folder} has no {WEIGHTS_NAME}.")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
