"""The state of a training run, so that it can stop at any step and go on exactly, on another machine too.

Stored beside the model to be, in `training/`: weights and Adam's moments as safetensors, named after the
epoch and step they follow, the best epoch's weights, and `state.json`, which is written last and names the
tensors it belongs to. All are removed when the run is complete. Randomness needs no state: every step is
seeded by (seed, epoch, step).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ml.checkpoint import CARD_NAME
from ml.dataset.storage import Storage
from ml.errors import ConflictError

STATE_FOLDER = "training"
STATE_NAME = f"{STATE_FOLDER}/state.json"
BEST_NAME = f"{STATE_FOLDER}/best.safetensors"


class ModelConflictError(ConflictError):
    """A model folder holds what a training run may not replace without being told to."""

    code = "model-conflict"


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave: mean training loss, validation loss, F1 over and per instrument, seconds it took,
    and, where relevance is supervised, the mean share of it that lies on the right instrument.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    macro_f1: float
    per_instrument_f1: dict[str, float]
    duration_s: float
    mass_accuracy: float | None = None

    @property
    def merit(self) -> float:
        """By which the best epoch is chosen: macro-F1, and what is true of the maps counts as much."""
        return self.macro_f1 + (self.mass_accuracy or 0.0)


@dataclass(frozen=True)
class Underway:
    """An epoch that is not finished: steps done, the sum of their losses, seconds spent."""

    steps: int = 0
    loss_sum: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True)
class TrainingState:
    """Where a run stands."""

    fingerprint: str
    epochs: tuple[EpochRecord, ...] = ()
    underway: Underway = Underway()

    @property
    def best(self) -> EpochRecord:
        """The epoch with the highest merit, the lowest validation loss deciding between equals."""
        return max(self.epochs, key=lambda record: (record.merit, -record.validation_loss))

    @property
    def tensors_name(self) -> str:
        """The file that holds this state's tensors."""
        return f"{STATE_FOLDER}/epoch-{len(self.epochs):04d}-step-{self.underway.steps:06d}.safetensors"


def claim(storage: Storage, fingerprint: str, *, overwrite: bool) -> TrainingState:
    """Make a model's place ready for a run.

    Parameters
    ----------
    storage : Storage
        Where the model will lie.
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
        When a finished model or an unfinished run of another configuration lies there.
    StorageError
    """
    state = read_state(storage)
    if state is not None:
        if state.fingerprint == fingerprint:
            return state
        if not overwrite:
            raise ModelConflictError(
                f"{storage} holds an unfinished run of another configuration or data set ("
                f"{len(state.epochs)} epochs); choose another folder, or overwrite it."
            )
        discard(storage)
    elif storage.exists(CARD_NAME) and not overwrite:
        raise ModelConflictError(
            f"{storage} already holds a finished model; choose another folder, or overwrite it."
        )
    return TrainingState(fingerprint)


def read_state(storage: Storage) -> TrainingState | None:
    """The state of the unfinished run that lies there; None where there is none."""
    if not storage.exists(STATE_NAME):
        return None
    fields = json.loads(storage.read(STATE_NAME))
    return TrainingState(
        fields["fingerprint"],
        tuple(EpochRecord(**record) for record in fields["epochs"]),
        Underway(**fields["underway"]),
    )


def save_state(
    state: TrainingState, trained: nn.Module, optimizer: torch.optim.Optimizer, storage: Storage
) -> None:
    """Save a run between two steps; at the end of its best epoch, that epoch's weights as well.

    Parameters
    ----------
    state : TrainingState
    trained : nn.Module
        The network, and what is trained beside it.
    optimizer : torch.optim.Optimizer
        One of Adam's kind.
    storage : Storage
    """
    before = read_state(storage)
    weights = plain_weights(trained)
    if state.underway.steps == 0 and state.epochs and state.best is state.epochs[-1]:
        storage.write_whole(BEST_NAME, save(weights))
    storage.write_whole(state.tensors_name, save(weights | _moments(optimizer)))
    storage.write_whole(STATE_NAME, json.dumps(asdict(state)).encode())
    if before is not None and before.tensors_name != state.tensors_name:
        storage.remove(before.tensors_name)


def restore(
    state: TrainingState, trained: nn.Module, optimizer: torch.optim.Optimizer, storage: Storage
) -> None:
    """Put a saved run's weights and moments back.

    Parameters
    ----------
    state : TrainingState
        As `claim` read it.
    trained : nn.Module
        The network, and what is trained beside it.
    optimizer : torch.optim.Optimizer
        Both are changed in place.
    storage : Storage
    """
    tensors = load(storage.read(state.tensors_name))
    trained.load_state_dict(
        {name: value for name, value in tensors.items() if not name.startswith("optimizer/")}
    )
    moments = optimizer.state_dict()
    n_parameters = len(optimizer.param_groups[0]["params"])
    moments["state"] = {
        index: {key: tensors[f"optimizer/{index}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        for index in range(n_parameters)
    }
    optimizer.load_state_dict(moments)


def best_weights(storage: Storage) -> dict[str, Tensor]:
    """Weights of the best epoch so far."""
    return load(storage.read(BEST_NAME))


def plain_weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors, contiguous and on the CPU, as safetensors wants them."""
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}


def discard(storage: Storage) -> None:
    """Remove what only resuming needs."""
    storage.remove(STATE_NAME)  # first: without it the rest belongs to nothing
    storage.child(STATE_FOLDER).remove_all()


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"optimizer/{index}/{key}": value.detach().cpu().contiguous()
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }
