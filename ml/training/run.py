"""A training run, in pieces: open it, advance it until all epochs are done, finish it.

Loss: `ml.training.losses`. Optimiser: AdamW with a short warm-up and a cosine to zero. After every epoch the
validation examples are scored at probability 0.5 and the best epoch's weights kept. Arithmetic is bfloat16
where the device has it, weights and moments stay float32. A run that is stopped after any step, by its time
limit, by cancelling or by the loss of its machine, goes on from its last saved state and ends with the same
weights (on the same kind of machine).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.checkpoint import ModelCard, check_model_id
from ml.dataset.manifest import InvalidDatasetError, Manifest
from ml.dataset.reader import SplitReader
from ml.dataset.storage import Storage
from ml.device import best_device, has_fast_bfloat16
from ml.errors import InvalidRequestError
from ml.evaluation.metrics import f1_scores
from ml.networks.default import FRAMES_PER_STEP, DefaultNetwork
from ml.networks.registry import build_network
from ml.training.config import TrainingConfig
from ml.training.examples import ExampleSource, open_examples
from ml.training.finish import finish_model
from ml.training.losses import LossWeights, label_loss, training_loss
from ml.training.relevance_loss import mass_accuracy, relevance_maps, trace
from ml.training.remix import Examples
from ml.training.scaling import scaled_batch
from ml.training.start import StartingPoint, read_start
from ml.training.state import (
    EpochRecord,
    TrainingState,
    Underway,
    best_weights,
    claim,
    discard,
    restore,
    save_state,
)

WARM_UP_EPOCHS = 0.5

OnEpoch = Callable[[EpochRecord, int], None]  # (the epoch just finished, epochs in all)
OnStep = Callable[[int, int], None]  # (steps done in this epoch, steps per epoch); may raise to stop


class TrainingRun:
    """A run that `open_run` made ready."""

    def __init__(
        self,
        examples: ExampleSource,
        manifest: Manifest,
        storage: Storage,
        config: TrainingConfig,
        *,
        model_id: str,
        device: torch.device,
        state: TrainingState,
        start: StartingPoint | None,
        licences: Mapping[str, str],
    ) -> None:
        self._examples, self._manifest, self._storage = examples, manifest, storage
        self.config, self._model_id, self._device = config, model_id, device
        self._licences, self._start = licences, start
        self._state = state
        torch.manual_seed(config.seed)
        self._network = build_network(config.network, len(manifest.labels), manifest.mel.n_mels)
        self._network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        positive = torch.from_numpy(examples.positive_weights().astype(np.float32)).to(device)
        self._weights = LossWeights(positive, config.sounding_weight, config.relevance_weight)
        if start is not None:
            self._network.load_state_dict(start.weights)
        if state.epochs or state.underway.steps:
            restore(state, self._network, self._optimizer, storage)

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """What the finished epochs gave."""
        return self._state.epochs

    @property
    def is_complete(self) -> bool:
        """Whether all epochs are done."""
        return len(self.epochs) >= self.config.n_epochs

    def advance(
        self, limit_s: float = math.inf, *, on_step: OnStep | None = None, on_epoch: OnEpoch | None = None
    ) -> bool:
        """Work for some time, then save.

        Parameters
        ----------
        limit_s : float
            The piece ends after the first step or epoch that ends later; scoring an epoch is not cut.
        on_step, on_epoch : callable, optional
            What they raise ends the piece; the state saved last stays.

        Returns
        -------
        bool
            Whether all epochs are done.

        Raises
        ------
        StorageError
            When the state cannot be saved.
        """
        started = time.perf_counter()
        while not self.is_complete:
            finished = self._advance_epoch(started + limit_s, on_step)
            if finished:
                self._end_epoch()
            save_state(self._state, self._network, self._optimizer, self._storage)
            if finished and on_epoch is not None:
                on_epoch(self.epochs[-1], self.config.n_epochs)
            if not finished or time.perf_counter() - started > limit_s:
                break
        return self.is_complete

    def finish(self) -> ModelCard:
        """Write the model of the best epoch so far, and remove what only going on needs.

        Returns
        -------
        ModelCard

        Raises
        ------
        InvalidRequestError
            When no epoch is finished yet.
        StorageError
        """
        if not self.epochs:
            raise InvalidRequestError("The training was stopped before its first epoch was complete.")
        self._network.load_state_dict(best_weights(self._storage))
        logits, truth = self._listen_to_validation()
        card = finish_model(
            self._network,
            logits.numpy(),
            truth,
            storage=self._storage,
            model_id=self._model_id,
            config=self.config,
            manifest=self._manifest,
            state=self._state,
            start=self._start,
            licences=self._licences,
        )
        discard(self._storage)
        return card

    def _advance_epoch(self, until: float, on_step: OnStep | None) -> bool:
        """Take the steps of the epoch that is underway; False when time ran out before the last."""
        epoch, started = len(self.epochs) + 1, time.perf_counter()
        before = self._state.underway
        underway = before
        self._network.train()
        for examples in self._examples.epoch(epoch, first_step=before.steps):
            loss = self._step(epoch, underway.steps, examples)
            underway = Underway(
                underway.steps + 1,
                underway.loss_sum + loss,
                before.duration_s + time.perf_counter() - started,
            )
            self._state = replace(self._state, underway=underway)
            if on_step is not None:
                on_step(underway.steps, self._examples.steps_per_epoch)
            if underway.steps < self._examples.steps_per_epoch and time.perf_counter() > until:
                return False
        return True

    def _step(self, epoch: int, step: int, examples: Examples) -> float:
        torch.manual_seed(((self.config.seed * 100_003 + epoch) * 1_000_003 + step) % 2**63)  # dropout
        self._set_learning_rate((epoch - 1) * self._examples.steps_per_epoch + step)
        here = examples.to(self._device)
        inputs = scaled_batch(here.levels_db, self._manifest.mel).contiguous(
            memory_format=torch.channels_last
        )
        with _fast_arithmetic(self._device):
            loss = training_loss(self._network, inputs, here, self._weights)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimizer.step()
        return float(loss.detach())

    def _end_epoch(self) -> None:
        started, underway = time.perf_counter(), self._state.underway
        logits, truth = self._listen_to_validation()
        scores = f1_scores(truth, logits.numpy() > 0.0)
        validation_loss = label_loss(logits, torch.from_numpy(truth).float(), self._weights.positive.cpu())
        record = EpochRecord(
            epoch=len(self.epochs) + 1,
            train_loss=underway.loss_sum / underway.steps,
            validation_loss=float(validation_loss),
            macro_f1=scores.macro,
            per_instrument_f1=dict(zip(self._manifest.labels, scores.per_label.tolist(), strict=True)),
            mass_accuracy=self._mass_accuracy() if self.config.relevance_weight else None,
            duration_s=underway.duration_s + time.perf_counter() - started,
        )
        self._state = TrainingState(self._state.fingerprint, (*self.epochs, record))

    def _mass_accuracy(self) -> float:
        """Mean share of the validation examples' relevance that lies on its instrument."""
        shares = []
        with torch.inference_mode():
            for batch in self._examples.validation():
                here = batch.to(self._device)
                assert here.cells is not None
                assert isinstance(self._network, DefaultNetwork)
                traced = trace(self._network, scaled_batch(here.levels_db, self._manifest.mel))
                maps = relevance_maps(self._network, traced, here.cells.example, here.cells.label)
                shares.append(mass_accuracy(maps, here.cells).cpu())
        return float(torch.cat(shares).mean())

    def _listen_to_validation(self) -> tuple[Tensor, NDArray[np.bool_]]:
        return listen_to(self._network, self._examples, self._manifest, self._device)

    def _set_learning_rate(self, step: int) -> None:
        steps_per_epoch = self._examples.steps_per_epoch
        warm_up = max(1.0, WARM_UP_EPOCHS * steps_per_epoch)
        progress = step / (self.config.n_epochs * steps_per_epoch)
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.learning_rate * min(1.0, (step + 1) / warm_up) * cosine


def open_run(
    dataset: Path | str,
    storage: Storage,
    config: TrainingConfig,
    *,
    model_id: str,
    device: str = "auto",
    overwrite: bool = False,
    start_from: Path | None = None,
    licences: Mapping[str, str] | None = None,
) -> TrainingRun:
    """Make a run ready, or pick up one of the same configuration and data that was interrupted.

    Parameters
    ----------
    dataset : Path or str
        Folder or URL of a finished data set with a train and a validation part.
    storage : Storage
        Where the model will lie.
    config : TrainingConfig
    model_id : str
        What the model will be called.
    device : {"auto", "cpu", "cuda"}
    overwrite : bool
        Whether a finished model, or an unfinished run of another configuration, there may be replaced.
    start_from : Path, optional
        Folder of a model whose weights the run begins with; by default they are drawn.
    licences : mapping of str to str, optional
        Licence of each SoundFont, for the card; known ones need not be named.

    Returns
    -------
    TrainingRun

    Raises
    ------
    InvalidDatasetError
        When the data set is unfinished or lacks what the configuration needs.
    InvalidRequestError
        When the id cannot be one, or `storage` holds what may not be replaced.
    StorageError
    """
    check_model_id(model_id)
    training = SplitReader(dataset, "train")
    validation = _validation_part(dataset, config)
    examples = open_examples(training, validation, config, FRAMES_PER_STEP)
    manifest = training.manifest
    start = None if start_from is None else read_start(start_from, config, manifest)
    state = claim(storage, _fingerprint(config, manifest, start), overwrite=overwrite)
    return TrainingRun(
        examples,
        manifest,
        storage,
        config,
        model_id=model_id,
        device=best_device(device),
        state=state,
        start=start,
        licences=licences or {},
    )


def listen_to(
    network: nn.Module, examples: ExampleSource, manifest: Manifest, device: torch.device
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Run a network over the validation examples in evaluation mode.

    Parameters
    ----------
    network : nn.Module
    examples : ExampleSource
    manifest : Manifest
        Of the data set.
    device : torch.device
        Where the network is.

    Returns
    -------
    logits : Tensor of float32, shape (n, n_labels)
        On the CPU.
    truth : ndarray of bool, shape (n, n_labels)
    """
    network.eval()
    logits, truth = [], []
    with torch.inference_mode():
        for batch in examples.validation():
            inputs = scaled_batch(batch.levels_db.to(device), manifest.mel)
            logits.append(network(inputs.contiguous(memory_format=torch.channels_last)).float().cpu())
            truth.append(batch.labels.numpy() > 0.5)
    return torch.cat(logits), np.concatenate(truth)


def _validation_part(dataset: Path | str, config: TrainingConfig) -> SplitReader | None:
    try:
        return SplitReader(dataset, "validation")
    except InvalidDatasetError:
        if config.left_out_soundfonts:
            return None
        raise


def _fast_arithmetic(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device))


def _fingerprint(config: TrainingConfig, manifest: Manifest, start: StartingPoint | None) -> str:
    fields = {"config": config.to_dict(), "dataset": manifest.digest}
    if start is not None:
        fields["start"] = start.card.sha256
    text = json.dumps(fields, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
