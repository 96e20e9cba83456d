"""The end of a run: calibration and thresholds from the validation examples, weights and card written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from ml.checkpoint import CARD_NAME, WEIGHTS_NAME, ModelCard, SoundSource, card_bytes
from ml.dataset.manifest import Manifest
from ml.dataset.storage import Storage
from ml.evaluation.metrics import best_thresholds, f1_scores
from ml.probabilities import fit_calibration
from ml.training.config import TrainingConfig
from ml.training.curves import curves_png
from ml.training.licences import LICENCES
from ml.training.start import StartingPoint
from ml.training.state import TrainingState, plain_weights

CURVES_NAME = "curves.png"


def finish_model(
    network: nn.Module,
    logits: NDArray[np.float32],
    truth: NDArray[np.bool_],
    *,
    storage: Storage,
    model_id: str,
    config: TrainingConfig,
    manifest: Manifest,
    state: TrainingState,
    start: StartingPoint | None,
    licences: Mapping[str, str],
) -> ModelCard:
    """Write a model.

    Parameters
    ----------
    network : nn.Module
        With the weights to keep.
    logits, truth : ndarray, shape (n, n_labels)
        Of the validation examples: calibration, thresholds and the card's metrics come from them.
    storage : Storage
        Gets `weights.safetensors`, `curves.png` and last `model.json`.
    model_id : str
    config : TrainingConfig
    manifest : Manifest
        Of the data set.
    state : TrainingState
    start : StartingPoint or None
        The model whose weights the run began with.
    licences : mapping of str to str
        Of SoundFonts.

    Returns
    -------
    ModelCard

    Raises
    ------
    StorageError
    """
    labels = manifest.labels
    calibration = fit_calibration(logits, truth, labels)
    probabilities = calibration.probabilities(logits, labels)
    thresholds = best_thresholds(truth, probabilities)
    scores = f1_scores(truth, probabilities >= thresholds)
    weights = save(plain_weights(network))
    card = ModelCard(
        id=model_id,
        network=config.network,
        labels=labels,
        thresholds=dict(zip(labels, thresholds.tolist(), strict=True)),
        calibration=calibration,
        mel=manifest.mel.to_dict(),
        sha256=hashlib.sha256(weights).hexdigest(),
        dataset={**manifest.source.summary(), "digest": manifest.digest, "versions": manifest.versions},
        training=_training_record(config, state, start),
        metrics={
            "split": "left out" if config.left_out_soundfonts else "validation",
            "n_clips": len(truth),
            "macro_f1": scores.macro,
            "micro_f1": scores.micro,
            "per_instrument_f1": dict(zip(labels, scores.per_label.tolist(), strict=True)),
        },
        sounds=tuple(
            SoundSource(name=name, sha256=sha256, licence={**LICENCES, **licences}.get(name, "not stated"))
            for name, sha256 in manifest.soundfonts.items()
            if name not in config.left_out_soundfonts
        ),
    )
    storage.write_whole(CURVES_NAME, curves_png(state.epochs))
    storage.write_whole(WEIGHTS_NAME, weights)
    storage.write_whole(CARD_NAME, card_bytes(card))
    return card


def _training_record(
    config: TrainingConfig, state: TrainingState, start: StartingPoint | None
) -> dict[str, Any]:
    import torch

    history = [
        {
            "epoch": record.epoch,
            "train_loss": round(record.train_loss, 5),
            "validation_loss": round(record.validation_loss, 5),
            "macro_f1": round(record.macro_f1, 5),
        }
        | ({} if record.mass_accuracy is None else {"mass_accuracy": round(record.mass_accuracy, 5)})
        for record in state.epochs
    ]
    return {
        **config.to_dict(),
        "torch": torch.__version__,
        "epochs_done": len(state.epochs),
        "best_epoch": state.best.epoch,
        "history": history,
        "calibrated_on": _calibrated_on(config),
        "started_from": None if start is None else _started_from(start.card),
    }


def _calibrated_on(config: TrainingConfig) -> dict[str, Any]:
    """Which sounds calibration and thresholds were fitted on: the metrics on the card are of the same."""
    if config.left_out_soundfonts:
        return {"left_out_soundfonts": list(config.left_out_soundfonts)}
    return {"split": "validation"}


def _started_from(card: ModelCard) -> dict[str, Any]:
    return {
        "id": card.id,
        "sha256": card.sha256,
        "dataset_digest": card.dataset.get("digest"),
        "training": card.training,
    }
