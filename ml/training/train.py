"""Training from beginning to end: what the command line does in one go, and workers in pieces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ml.checkpoint import ModelCard
from ml.dataset.storage import open_storage
from ml.training.config import TrainingConfig
from ml.training.run import OnEpoch, OnStep, open_run

SAVED_EVERY_S = 300.0  # an interruption costs no more than this


def train(
    dataset: Path | str,
    folder: Path | str,
    config: TrainingConfig,
    *,
    model_id: str,
    device: str = "auto",
    overwrite: bool = False,
    start_from: Path | None = None,
    licences: Mapping[str, str] | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
) -> ModelCard:
    """Train a network, or go on with a run of the same configuration that was interrupted.

    Parameters
    ----------
    dataset : Path or str
        Folder or URL of a finished data set.
    folder : Path or str
        Folder or URL of the model to write.
    config, model_id, device, overwrite, start_from, licences
        As for `ml.training.run.open_run`.
    on_epoch, on_step : callable, optional
        As for `ml.training.run.TrainingRun.advance`.

    Returns
    -------
    ModelCard

    Raises
    ------
    InvalidDatasetError, InvalidRequestError, StorageError
        As for `ml.training.run.open_run`.
    """
    run = open_run(
        dataset,
        open_storage(folder),
        config,
        model_id=model_id,
        device=device,
        overwrite=overwrite,
        start_from=start_from,
        licences=licences,
    )
    while not run.advance(SAVED_EVERY_S, on_step=on_step, on_epoch=on_epoch):
        pass
    return run.finish()
