"""Where a run's weights begin: another model's, of the same network, labels and front end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ml.checkpoint import WEIGHTS_NAME, InvalidCheckpointError, ModelCard, read_card, weights_sha256
from ml.dataset.manifest import Manifest
from ml.errors import InvalidRequestError
from ml.training.config import TrainingConfig


@dataclass(frozen=True)
class StartingPoint:
    """A model to begin with: its card and weights."""

    card: ModelCard
    weights: dict[str, Tensor]


def read_start(folder: Path, config: TrainingConfig, manifest: Manifest) -> StartingPoint:
    """Read the model that a run begins with.

    Parameters
    ----------
    folder : Path
        A model folder.
    config : TrainingConfig
    manifest : Manifest
        Of the data set.

    Returns
    -------
    StartingPoint

    Raises
    ------
    InvalidRequestError
        When its network, labels or front end are others.
    UnknownModelError, InvalidCheckpointError
        When there is no intact model.
    """
    card = read_card(folder)
    if card.network != config.network or card.labels != manifest.labels or card.mel != manifest.mel.to_dict():
        raise InvalidRequestError(
            f"Model {card.id} cannot be gone on with: its network, labels or front end are others."
        )
    if weights_sha256(folder) != card.sha256:
        raise InvalidCheckpointError(f"The weights in {folder} are not those of its card.")
    return StartingPoint(card, load_file(folder / WEIGHTS_NAME))
