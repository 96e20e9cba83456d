"""The model host: keeps each model that a process needs loaded for the process's life.

Conventions: a model's id is what its card says. `installed_models` and `announcements` read cards only and
are for the parent process; `ModelHost` imports torch and is for the processes that compute.
"""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ml.checkpoint import CARD_NAME, read_card
from ml.errors import UnknownModelError
from worker.catalog import PublishedModel, model_from_card
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from ml.model import Model

log = logging.getLogger(__name__)


def announcements(settings: WorkerSettings) -> tuple[PublishedModel, ...]:
    """What this machine's worker can offer.

    Raises
    ------
    UnknownModelError
        When the default model is not among them: such a worker would fail most of its jobs.
    """
    folders = installed_models(settings.models_dir)
    if settings.default_model not in folders:
        raise _unknown(settings.default_model, settings.models_dir, folders)
    return tuple(model_from_card(read_card(folder).model_dump(mode="json")) for folder in folders.values())


def installed_models(models_dir: Path) -> dict[str, Path]:
    """The folder of every model in `models_dir`, by the id on its card."""
    folders = sorted(path.parent for path in models_dir.glob(f"*/{CARD_NAME}"))
    return {read_card(folder).id: folder for folder in folders}


class ModelHost:
    """The loaded models of one process."""

    def __init__(self, settings: WorkerSettings) -> None:
        import torch

        torch.set_num_threads(settings.threads)
        self._settings = settings
        self._folders = installed_models(settings.models_dir)
        self._loaded: dict[str, Model] = {}
        self.model(settings.default_model)

    def model(self, model_id: str) -> "Model":
        """The model, loaded the first time it is asked for.

        Raises
        ------
        UnknownModelError
            When this machine has no such model.
        """
        from ml.model import load_model

        if model_id not in self._folders:
            raise _unknown(model_id, self._settings.models_dir, self._folders)
        if model_id not in self._loaded:
            started = time.monotonic()
            model = load_model(self._folders[model_id], device=self._settings.device)
            self._loaded[model_id] = model
            elapsed_s = round(time.monotonic() - started, 3)
            log.info(
                "loaded a model", extra={"model": model_id, "device": model.device, "elapsed_s": elapsed_s}
            )
        return self._loaded[model_id]

    def forget(self) -> None:
        """Lets go of all models, so that what a failed call may have left in them is not seen again."""
        self._loaded.clear()


def _unknown(model_id: str, models_dir: Path, folders: dict[str, Path]) -> UnknownModelError:
    return UnknownModelError(
        f"There is no model {model_id!r} in {models_dir}.",
        extra={"unknown": model_id, "available": sorted(folders)},
    )
