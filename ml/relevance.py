"""Relevance maps: Layer-wise Relevance Propagation, split by concepts (Concept Relevance Propagation), with
zennit-crp.

Relevance starts at an instrument's logit, with the logit's own value, and is carried back to the log-mel by
these rules (Bach et al., *PLoS ONE* 10(7), 2015; Montavon et al., *LRP: an overview*, 2019):

* the linear head, a 1x1 convolution or a linear layer: LRP-epsilon, ``R_j = sum_k a_j w_jk / z_k * R_k``,
  which keeps the sign of each feature's contribution to the logit: evidence for and evidence against;
* pooling over time with held weights: the same without parameters (`zennit.rules.Norm`);
* convolutions: LRP-alpha2-beta1, ``R_j = sum_k (2 (a_j w_jk)^+ / z_k^+ - (a_j w_jk)^- / z_k^-) R_k``;
* ReLU passes relevance on, max pooling gives it to the winner, resizing passes it by its adjoint.

A *concept* is a channel of the last convolution. Its map (Achtibat et al., *Nature Machine Intelligence* 5,
2023) is what is left when all relevance but this channel's is set to zero there; below that layer relevance
is linear in what enters, so the maps of all channels add up to the whole map.

Arrays are `(n_windows, n_mels, n_frames)` for maps and `(n_windows, n_channels)` for channels, float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from crp.attribution import CondAttribution
from numpy.typing import NDArray
from torch import nn
from zennit.core import Composite, Hook
from zennit.rules import AlphaBeta, Epsilon, Norm, Pass
from zennit.types import Activation, Convolution

from ml.model import Model
from ml.networks.blocks import SoftmaxTimePool

ALPHA, BETA = 2.0, 1.0
EPSILON = 1e-6
HEAD = "head"  # name of every network's last linear layer
_BATCH_WINDOWS = 4  # windows explained at once: bounds memory


@dataclass(frozen=True)
class WindowRelevance:
    """Relevance of one instrument in each window.

    Attributes
    ----------
    logits : ndarray of float32, shape (n_windows,)
        What relevance started from.
    maps : ndarray of float32, shape (n_windows, n_mels, n_frames)
        Signed relevance of every cell of the log-mel.
    channels : ndarray of float32, shape (n_windows, n_channels)
        Signed relevance of every channel of the concept layer, summed over positions.
    """

    logits: NDArray[np.floating]
    maps: NDArray[np.floating]
    channels: NDArray[np.floating]


def make_composite() -> Composite:
    """The rules above, as zennit takes them."""
    return Composite(module_map=_rule_for)


def _rule_for(context: object, name: str, module: nn.Module) -> Hook | None:
    del context
    if name == HEAD or isinstance(module, nn.Linear):
        return Epsilon(epsilon=EPSILON)
    if isinstance(module, Convolution):
        return AlphaBeta(alpha=ALPHA, beta=BETA)
    if isinstance(module, SoftmaxTimePool):
        return Norm()
    return Pass() if isinstance(module, Activation) else None


def instrument_relevance(model: Model, inputs: NDArray[np.floating], label_index: int) -> WindowRelevance:
    """Explain one instrument's logit in each window.

    Parameters
    ----------
    model : Model
    inputs : ndarray of float32, shape (n_windows, n_mels, n_frames)
        Scaled log-mels. (Networks in float64 take and give float64.)
    label_index : int
        Which of the model's labels.

    Returns
    -------
    WindowRelevance
    """
    logits, maps, channels = [], [], []
    for batch in _batches(inputs):
        attribution = _attribute(model, batch, {"y": [label_index]}, record=[model.concept_layer])
        logits.append(attribution.prediction[:, label_index].detach().cpu().numpy())
        maps.append(attribution.heatmap.cpu().numpy())
        channels.append(attribution.relevances[model.concept_layer].sum(dim=(2, 3)).cpu().numpy())
    return WindowRelevance(np.concatenate(logits), np.concatenate(maps), np.concatenate(channels))


def concept_relevance(
    model: Model,
    inputs: NDArray[np.floating],
    label_index: int,
    channels: Sequence[int],
) -> NDArray[np.floating]:
    """The part of an instrument's relevance that passes through some channels of the concept layer.

    Parameters
    ----------
    model : Model
    inputs : ndarray of float32, shape (n_windows, n_mels, n_frames)
    label_index : int
    channels : sequence of int
        One channel for a concept; the complement of several for a remainder.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_mels, n_frames)
        Zero where `channels` is empty.
    """
    if not channels:
        return np.zeros_like(inputs)
    condition = {"y": [label_index], model.concept_layer: list(channels)}
    return np.concatenate(
        [_attribute(model, batch, condition).heatmap.cpu().numpy() for batch in _batches(inputs)]
    )


def _batches(inputs: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    for first in range(0, len(inputs), _BATCH_WINDOWS):
        yield inputs[first : first + _BATCH_WINDOWS]


def _attribute(
    model: Model,
    batch: NDArray[np.floating],
    condition: Mapping[str, Sequence[int]],
    record: Sequence[str] = (),
) -> Any:
    """One conditional attribution of every window of a batch, with zennit-crp's own named tuple as the
    answer.
    """
    data = torch.from_numpy(batch).unsqueeze(1).to(model.device).requires_grad_(True)
    conditions = [dict(condition) for _ in range(len(batch))]
    with model.lock:
        attribute = CondAttribution(model.network, device=model.device)
        return attribute(data, conditions, make_composite(), record_layer=list(record))
