"""What a network is asked for: every example's labels, and with known truth, when and where each sounds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from ml.networks.default import DefaultNetwork
from ml.training.relevance_loss import relevance_loss, relevance_maps, trace
from ml.training.remix import UNDECIDED, Examples


@dataclass(frozen=True)
class LossWeights:
    """What counts how much: positive examples of each label `(n_labels,)`, sounding, relevance."""

    positive: Tensor
    sounding: float
    relevance: float


def training_loss(network: nn.Module, inputs: Tensor, examples: Examples, weights: LossWeights) -> Tensor:
    """Loss of one batch.

    Parameters
    ----------
    network : nn.Module
        In training mode.
    inputs : Tensor, shape (n, 1, n_mels, n_frames)
        Scaled to 0..1.
    examples : Examples
        What they are; on the inputs' device.
    weights : LossWeights

    Returns
    -------
    Tensor, shape ()
        Binary cross-entropy of the labels; plus, weighted, that of the evidence curves against whether each
        label sounds in each step (undecided steps do not count), and that of relevance.
    """
    if examples.sounding is None or not isinstance(network, DefaultNetwork):
        return label_loss(network(inputs), examples.labels, weights.positive)
    traced = None
    if examples.cells is not None:
        traced = trace(network, inputs)
        curves = network.head(network.dropout(traced.features)).float()
    else:
        curves = network.evidence(inputs).float()
    loss = label_loss(network.pool(curves), examples.labels, weights.positive)
    of_steps = functional.binary_cross_entropy_with_logits(
        curves.flatten(2)[:, :, : examples.sounding.shape[2]],
        examples.sounding.clamp_min(0.0),
        reduction="none",
    )
    loss = loss + weights.sounding * (of_steps * (examples.sounding != UNDECIDED)).mean()
    if traced is not None and examples.cells is not None and len(examples.cells.example) > 0:
        maps = relevance_maps(network, traced, examples.cells.example, examples.cells.label)
        loss = loss + weights.relevance * relevance_loss(maps, examples.cells)
    return loss


def label_loss(logits: Tensor, labels: Tensor, positive_weights: Tensor) -> Tensor:
    """Binary cross-entropy of logits `(n, n_labels)`, positives weighted, its mean."""
    return functional.binary_cross_entropy_with_logits(logits.float(), labels, pos_weight=positive_weights)
