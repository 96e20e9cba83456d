"""The zennit-crp engine: rules as zennit hooks, one conditional attribution per map.

General, and slow: every condition runs the network forward and backward once more, each convolution four
times. It is the oracle of the direct engine, and serves networks which that one does not cover. Hooks are not
thread-safe; the caller holds the model's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from ml.relevance.evidence import ALPHA, BETA, EPSILON, HEAD, Evidence, OnMap, strongest_channels

_BATCH_WINDOWS = 4  # windows explained at once: bounds memory


def explain_labels(
    model: Model,
    inputs: NDArray[np.floating],
    labels: Sequence[int],
    n_concepts: int,
    on_map: OnMap | None = None,
) -> tuple[Evidence, ...]:
    """Explain labels in windows; see `ml.relevance.engine.explain_labels`."""
    explained = []
    for label in labels:
        logits, maps, channels = [], [], []
        for batch in _batches(inputs):
            attribution = _attribute(model, batch, {"y": [label]}, [model.concept_layer])
            logits.append(attribution.prediction[:, label].detach().cpu().numpy())
            maps.append(attribution.heatmap.cpu().numpy())
            channels.append(attribution.relevances[model.concept_layer].sum(dim=(2, 3)).cpu().numpy())
        by_channel = np.concatenate(channels)
        if on_map is not None:
            on_map(len(inputs))
        strongest = strongest_channels(by_channel, n_concepts)
        others = [channel for channel in range(by_channel.shape[1]) if channel not in strongest]
        concept_maps = []
        for group in (*([channel] for channel in strongest), others):
            concept_maps.append(concept_relevance(model, inputs, label, group))
            if on_map is not None:
                on_map(len(inputs))
        explained.append(
            Evidence(
                np.concatenate(logits), by_channel, np.concatenate(maps), strongest, np.stack(concept_maps)
            )
        )
    return tuple(explained)


def concept_relevance(
    model: Model, inputs: NDArray[np.floating], label: int, channels: Sequence[int]
) -> NDArray[np.floating]:
    """The part of a label's relevance that passes through some channels of the concept layer.

    Parameters
    ----------
    model : Model
    inputs : ndarray, shape (n_windows, n_mels, n_frames)
    label : int
    channels : sequence of int
        One channel for a concept; the complement of several for a remainder.

    Returns
    -------
    ndarray, shape (n_windows, n_mels, n_frames)
        Zero where `channels` is empty.
    """
    if not channels:
        return np.zeros_like(inputs)
    condition = {"y": [label], model.concept_layer: list(channels)}
    return np.concatenate(
        [_attribute(model, batch, condition, []).heatmap.cpu().numpy() for batch in _batches(inputs)]
    )


def make_composite() -> Composite:
    """The rules of `ml.relevance`, as zennit takes them."""
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


def _batches(inputs: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    for first in range(0, len(inputs), _BATCH_WINDOWS):
        yield inputs[first : first + _BATCH_WINDOWS]


def _attribute(
    model: Model, batch: NDArray[np.floating], condition: Mapping[str, Sequence[int]], record: list[str]
) -> Any:
    """One conditional attribution of every window of a batch: zennit-crp's own named tuple."""
    data = torch.from_numpy(batch).unsqueeze(1).to(model.device).requires_grad_(True)
    conditions = [dict(condition) for _ in range(len(batch))]
    attribute = CondAttribution(model.network, device=model.device)
    return attribute(data, conditions, make_composite(), record_layer=record)
