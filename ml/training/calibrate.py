"""Calibration on sounds that were kept out of training: leave one SoundFont out, train, listen to it; repeat.

Each *fold* is a model trained like the final one but without some SoundFonts. What the folds say of the
sounds they never heard stands for what the final model, which heard all of them, will say of new ones: on
that, pooled over folds, the final model's calibration and thresholds are fitted.

What a label's sounds have in common in a few SoundFonts says little of others: a violin may happen to be
bright in both. Each label's offset and threshold is therefore drawn towards what all labels have in common,
the more so the fewer SoundFonts were left out: ``common + n / (n + DOUBT) * (own - common)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ml.checkpoint import ModelCard, read_card, write_card
from ml.dataset.reader import SplitReader
from ml.device import best_device
from ml.errors import InvalidRequestError
from ml.evaluation.metrics import best_thresholds, common_threshold
from ml.model import load_model
from ml.networks.default import FRAMES_PER_STEP
from ml.probabilities import Calibration, fit_calibration
from ml.training.config import TrainingConfig, parse_config
from ml.training.examples import open_examples
from ml.training.run import listen_to

DOUBT = 8.0  # SoundFonts of which a label's own offset counts half


def calibrate(
    model_folder: Path, dataset: Path | str, folds: Sequence[Path], device: str = "auto"
) -> ModelCard:
    """Fit a model's calibration and thresholds on what folds never heard, and write them into its card.

    Parameters
    ----------
    model_folder : Path
        The final model; its weights stay as they are.
    dataset : Path or str
        Folder or URL of the data set that all were trained on.
    folds : sequence of Path
        Folders of models trained with `left_out_soundfonts`.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    ModelCard

    Raises
    ------
    InvalidRequestError
        When a fold left nothing out, knows other labels or was trained on other data.
    """
    card = read_card(model_folder)
    reader = SplitReader(dataset, "train")
    logits, truth, left_out = [], [], []
    for fold in folds:
        config = _config_of_fold(read_card(fold), card, reader.manifest.digest)
        examples = open_examples(reader, None, config, FRAMES_PER_STEP)
        model = load_model(fold, device)
        heard, sounding = listen_to(model.network, examples, reader.manifest, best_device(device))
        logits.append(heard.numpy())
        truth.append(sounding)
        left_out += list(config.left_out_soundfonts)
    all_logits, all_truth = np.concatenate(logits), np.concatenate(truth)
    trust = len(left_out) / (len(left_out) + DOUBT)
    calibration = _drawn_together(fit_calibration(all_logits, all_truth, card.labels), trust)
    probabilities = calibration.probabilities(all_logits, card.labels)
    common = common_threshold(all_truth, probabilities)
    thresholds = common + trust * (best_thresholds(all_truth, probabilities) - common)
    calibrated = card.model_copy(
        update={
            "calibration": calibration,
            "thresholds": dict(zip(card.labels, thresholds.round(3).tolist(), strict=True)),
            "training": {
                **card.training,
                "calibrated_on": {
                    "left_out_soundfonts": left_out,
                    "n_clips": len(all_truth),
                    "dataset_digest": reader.manifest.digest,
                },
            },
        }
    )
    write_card(calibrated, model_folder)
    return calibrated


def _config_of_fold(fold: ModelCard, model: ModelCard, digest: str) -> TrainingConfig:
    # a card may be older than a field, whose default then was its meaning
    known = TrainingConfig.model_fields.keys() & fold.training.keys()
    config = parse_config({name: fold.training[name] for name in known})
    if not config.left_out_soundfonts:
        raise InvalidRequestError(f"Fold {fold.id} left no SoundFont out of its training.")
    if fold.labels != model.labels:
        raise InvalidRequestError(f"Fold {fold.id} and model {model.id} do not know the same labels.")
    if fold.dataset.get("digest") != digest:
        raise InvalidRequestError(f"Fold {fold.id} was trained on another data set.")
    return config


def _drawn_together(calibration: Calibration, trust: float) -> Calibration:
    """The same scale, with each offset so far on its way from their mean to itself."""
    mean = sum(calibration.offsets.values()) / len(calibration.offsets)
    offsets = {label: round(mean + trust * (own - mean), 4) for label, own in calibration.offsets.items()}
    return Calibration(scale=calibration.scale, offsets=offsets)
