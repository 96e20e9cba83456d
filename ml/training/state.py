"""The state of a training run between epochs, so that it can be interrupted and resumed.

Stored in `<model folder>/training/` as safetensors (weights, Adam's moments) and JSON (epochs done); both are
removed when the run is complete. Randomness needs no state: every epoch is seeded by (seed, epoch).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.checkpoint import CARD_NAME
from ml.dataset.shards import write_whole
from ml.errors import InvalidRequestError, StorageError

READABLE = 0o644


class ModelConflictError(InvalidRequestError):
    """A model folder holds what a training run may not replace without being told to."""

    code = "model-conflict"


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave: mean training loss, validation loss, F1 over and per instrument, and seconds it
    took.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    macro_f1: float
    per_instrument_f1: dict[str, float]
    duration_s: float


@dataclass(frozen=True)
class TrainingState:
    """Where a run stands."""

    fingerprint: str
    epochs: tuple[EpochRecord, ...]

    @property
    def best(self) -> EpochRecord:
        """The epoch with the highest macro-F1, the lowest validation loss deciding between equals."""
        return max(self.epochs, key=lambda record: (record.macro_f1, -record.validation_loss))


def state_folder(model_folder: Path) -> Path:
    """Where a run keeps what it needs to be resumed."""
    return model_folder / "training"


def save_state(
    state: TrainingState, network: nn.Module, optimizer: torch.optim.Adam, model_folder: Path
) -> None:
    """Save a run after an epoch; the best epoch's weights are kept beside the last one's.

    Parameters
    ----------
    state : TrainingState
        With the epoch just finished as its last.
    network : nn.Module
    optimizer : torch.optim.Adam
    model_folder : Path
    """
    folder = state_folder(model_folder)
    weights = plain_weights(network)
    if state.best is state.epochs[-1]:
        save_weights(weights, folder / "best.safetensors")
    epoch = state.epochs[-1].epoch
    save_weights(weights | _optimizer_tensors(optimizer), folder / f"epoch-{epoch:04d}.safetensors")
    write_whole(folder / "state.json", json.dumps(asdict(state)).encode())
    for old in folder.glob("epoch-*.safetensors"):
        if old.name != f"epoch-{epoch:04d}.safetensors":
            old.unlink()


def claim_folder(model_folder: Path, fingerprint: str, *, overwrite: bool) -> TrainingState:
    """Make a model folder ready for a run.

    Parameters
    ----------
    model_folder : Path
        Made when missing.
    fingerprint : str
        Of the run's configuration and data.
    overwrite : bool
        Whether what another run left there may be replaced.

    Returns
    -------
    TrainingState
        Where this very run was interrupted, or a beginning.

    Raises
    ------
    ModelConflictError
        When the folder holds a finished model or an unfinished run of another configuration.
    StorageError
        When the folder cannot be made.
    """
    path = state_folder(model_folder) / "state.json"
    if path.is_file():
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["fingerprint"] == fingerprint:
            return TrainingState(fingerprint, tuple(EpochRecord(**record) for record in fields["epochs"]))
        if not overwrite:
            raise ModelConflictError(
                f"{model_folder} holds an unfinished run of another configuration or data set ("
                f"{len(fields['epochs'])} epochs); choose another folder, or overwrite it."
            )
    elif (model_folder / CARD_NAME).is_file() and not overwrite:
        raise ModelConflictError(
            f"{model_folder} already holds a finished model; choose another folder, or overwrite it."
        )
    try:
        state_folder(model_folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder {model_folder} cannot be made: {error.strerror}.") from error
    return TrainingState(fingerprint, ())


def restore(
    state: TrainingState, network: nn.Module, optimizer: torch.optim.Adam, model_folder: Path
) -> None:
    """Put a saved run's weights and moments back.

    Parameters
    ----------
    state : TrainingState
        As `claim_folder` read it.
    network : nn.Module
    optimizer : torch.optim.Adam
        Both are changed in place.
    model_folder : Path
    """
    tensors = load_file(state_folder(model_folder) / f"epoch-{state.epochs[-1].epoch:04d}.safetensors")
    network.load_state_dict(
        {name: value for name, value in tensors.items() if not name.startswith("optimizer/")}
    )
    moments = optimizer.state_dict()
    n_parameters = len(optimizer.param_groups[0]["params"])
    moments["state"] = {
        index: {key: tensors[f"optimizer/{index}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        for index in range(n_parameters)
    }
    optimizer.load_state_dict(moments)


def best_weights(model_folder: Path) -> dict[str, Tensor]:
    """Weights of the best epoch so far."""
    return load_file(state_folder(model_folder) / "best.safetensors")


def plain_weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors, contiguous and on the CPU, as safetensors wants them."""
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}


def discard_state(model_folder: Path) -> None:
    """Remove what only resuming needs."""
    shutil.rmtree(state_folder(model_folder), ignore_errors=True)


def _optimizer_tensors(optimizer: torch.optim.Adam) -> dict[str, Tensor]:
    moments = optimizer.state_dict()["state"]
    return {
        f"optimizer/{index}/{key}": value.detach().cpu().contiguous()
        for index, entry in moments.items()
        for key, value in entry.items()
    }


def save_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file whole or not at all, readable by every user as other files are."""
    partial = path.with_suffix(".partial")
    save_file(dict(tensors), partial)
    partial.chmod(READABLE)  # safetensors keeps its files to their owner
    partial.replace(path)
