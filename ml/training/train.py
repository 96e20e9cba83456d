"""Training: reads top to bottom. A data set and a `TrainingConfig` become a model folder.

Loss: binary cross-entropy with logits, each instrument's positives weighted by (absent / present) clips of
the training part. Optimiser: Adam with a short warm-up and a cosine to zero. After every epoch the validation
part is scored at probability 0.5, the run is saved, and the best epoch's weights kept; at the end each
instrument's threshold is fitted on the validation part and the card written. Arithmetic is bfloat16 where the
processor has it, weights and moments stay float32.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.checkpoint import (
    WEIGHTS_NAME,
    ModelCard,
    SoundSource,
    check_model_id,
    weights_sha256,
    write_card,
)
from ml.dataset.manifest import Manifest
from ml.dataset.reader import SplitReader
from ml.device import best_device, has_fast_bfloat16
from ml.evaluation.metrics import F1Scores, best_thresholds, f1_scores
from ml.melspec import MelConfig
from ml.networks.registry import build_network
from ml.training.augment import mix_pairs, scaled_batch
from ml.training.config import TrainingConfig
from ml.training.curves import draw_curves
from ml.training.state import (
    EpochRecord,
    TrainingState,
    best_weights,
    claim_folder,
    discard_state,
    plain_weights,
    restore,
    save_state,
    save_weights,
)

WARM_UP_EPOCHS = 0.5
LICENCES = {"FluidR3_GM": "MIT (Frank Wen)"}

OnEpoch = Callable[[EpochRecord, int], None]  # (the epoch just finished, epochs in all)
OnStep = Callable[[int, int], None]  # (steps done in this epoch, steps per epoch); may raise to stop


def train(
    dataset: Path,
    folder: Path,
    config: TrainingConfig,
    *,
    model_id: str,
    device: str = "auto",
    overwrite: bool = False,
    licences: Mapping[str, str] | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
) -> ModelCard:
    """Train a network, or go on with a run of the same configuration that was interrupted.

    Parameters
    ----------
    dataset : Path
        A finished data set with a train and a validation part.
    folder : Path
        The model folder to write.
    config : TrainingConfig
    model_id : str
        What the model will be called.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    overwrite : bool
        Whether a finished model, or an unfinished run of another configuration, in `folder` may be replaced.
    licences : mapping of str to str, optional
        Licence of each SoundFont, for the card; known ones need not be named.
    on_epoch, on_step : callable, optional

    Returns
    -------
    ModelCard

    Raises
    ------
    InvalidDatasetError
        When the data set is unfinished or lacks a part.
    InvalidRequestError
        When the id cannot be one, the network is unknown, or `folder` holds what may not be replaced.
    StorageError
        When the folder cannot be made.
    """
    check_model_id(model_id)
    training, validation = SplitReader(dataset, "train"), SplitReader(dataset, "validation")
    manifest, mel = training.manifest, training.manifest.mel
    torch_device = best_device(device)

    torch.manual_seed(config.seed)
    network = build_network(config.network, len(training.label_names), mel.n_mels)
    network.to(torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=_positive_weights(training.labels).to(torch_device))

    fingerprint = _fingerprint(config, manifest)
    state = claim_folder(folder, fingerprint, overwrite=overwrite)
    if state.epochs:
        restore(state, network, optimizer, folder)

    steps_per_epoch = math.ceil(len(training) / config.batch_size)
    for epoch in range(len(state.epochs) + 1, config.n_epochs + 1):
        started = time.perf_counter()
        rng = np.random.default_rng([config.seed, epoch])
        torch.manual_seed(config.seed * 100_003 + epoch)
        network.train()
        losses = []
        for step, batch in enumerate(training.batches(config.batch_size, rng)):
            levels = torch.from_numpy(batch.level_db).to(torch_device).float()
            labels = torch.from_numpy(batch.labels).to(torch_device).float()
            levels, labels = mix_pairs(levels, labels, config.mix_probability, rng)
            _set_learning_rate(optimizer, config, (epoch - 1) * steps_per_epoch + step, steps_per_epoch)
            with _fast_arithmetic(torch_device):
                logits = network(scaled_batch(levels, mel))
            loss = loss_of(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if on_step is not None:
                on_step(step + 1, steps_per_epoch)
        logits = predict_split(network, validation, mel, torch_device)
        scores = f1_scores(validation.labels, (logits > 0.0).numpy())
        record = EpochRecord(
            epoch=epoch,
            train_loss=float(np.mean(losses)),
            validation_loss=float(
                loss_of(logits.to(torch_device), torch.from_numpy(validation.labels).to(torch_device).float())
            ),
            macro_f1=scores.macro,
            per_instrument_f1=dict(zip(training.label_names, scores.per_label.tolist(), strict=True)),
            duration_s=time.perf_counter() - started,
        )
        state = TrainingState(fingerprint, (*state.epochs, record))
        save_state(state, network, optimizer, folder)
        draw_curves(state.epochs, folder / "curves.png")
        if on_epoch is not None:
            on_epoch(record, config.n_epochs)

    network.load_state_dict(best_weights(folder))
    probabilities = predict_split(network, validation, mel, torch_device).sigmoid().numpy()
    thresholds = best_thresholds(validation.labels, probabilities)
    scores = f1_scores(validation.labels, probabilities >= thresholds)
    save_weights(plain_weights(network), folder / WEIGHTS_NAME)
    card = ModelCard(
        id=model_id,
        network=config.network,
        labels=validation.label_names,
        thresholds=dict(zip(validation.label_names, thresholds.tolist(), strict=True)),
        mel=mel.to_dict(),
        sha256=weights_sha256(folder),
        dataset=_dataset_record(manifest),
        training=_training_record(config, state),
        metrics=_metrics_record(scores, validation),
        sounds=_sound_sources(manifest, {**LICENCES, **(licences or {})}),
    )
    write_card(card, folder)
    discard_state(folder)
    return card


def predict_split(network: nn.Module, split: SplitReader, mel: MelConfig, device: torch.device) -> Tensor:
    """Run a network over a whole split in evaluation mode.

    Parameters
    ----------
    network : nn.Module
    split : SplitReader
    mel : MelConfig
        The data set's.
    device : torch.device
        Where the network is.

    Returns
    -------
    Tensor of float32, shape (n_clips, n_labels)
        Logits on the CPU, in the split's order.
    """
    network.eval()
    logits = []
    with torch.inference_mode():
        for batch in split.batches(64):
            levels = torch.from_numpy(batch.level_db).to(device).float()
            logits.append(network(scaled_batch(levels, mel)).float().cpu())
    return torch.cat(logits)


def _dataset_record(manifest: Manifest) -> dict[str, Any]:
    return {
        "recipe": manifest.recipe.model_dump(mode="json"),
        "digest": manifest.digest,
        "versions": manifest.versions,
    }


def _training_record(config: TrainingConfig, state: TrainingState) -> dict[str, Any]:
    history = [
        {
            "epoch": record.epoch,
            "train_loss": round(record.train_loss, 5),
            "validation_loss": round(record.validation_loss, 5),
            "macro_f1": round(record.macro_f1, 5),
        }
        for record in state.epochs
    ]
    return {
        **config.to_dict(),
        "torch": torch.__version__,
        "best_epoch": state.best.epoch,
        "history": history,
    }


def _metrics_record(scores: F1Scores, validation: SplitReader) -> dict[str, Any]:
    return {
        "split": "validation",
        "n_clips": len(validation),
        "macro_f1": scores.macro,
        "micro_f1": scores.micro,
        "per_instrument_f1": dict(zip(validation.label_names, scores.per_label.tolist(), strict=True)),
    }


def _sound_sources(manifest: Manifest, licences: Mapping[str, str]) -> tuple[SoundSource, ...]:
    return tuple(
        SoundSource(name=name, sha256=sha256, licence=licences.get(name, "not stated"))
        for name, sha256 in manifest.soundfonts.items()
    )


def _positive_weights(labels: NDArray[np.bool_]) -> Tensor:
    """Absent / present clips per label; 1 for a label that never occurs."""
    present = labels.sum(axis=0)
    weights = np.where(present > 0, (len(labels) - present) / np.maximum(present, 1), 1.0)
    return torch.tensor(np.maximum(weights, 1e-3), dtype=torch.float32)


def _set_learning_rate(
    optimizer: torch.optim.Adam, config: TrainingConfig, step: int, steps_per_epoch: int
) -> None:
    warm_up = max(1.0, WARM_UP_EPOCHS * steps_per_epoch)
    progress = step / (config.n_epochs * steps_per_epoch)
    rate = config.learning_rate * min(1.0, (step + 1) / warm_up) * 0.5 * (1.0 + math.cos(math.pi * progress))
    for group in optimizer.param_groups:
        group["lr"] = rate


def _fast_arithmetic(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device))


def _fingerprint(config: TrainingConfig, manifest: Manifest) -> str:
    text = json.dumps({"config": config.to_dict(), "dataset": manifest.digest}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
