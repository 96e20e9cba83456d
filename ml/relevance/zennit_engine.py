"""The zennit-crp engine: rules as zennit hooks, one conditional attribution per map.

General, and slow: every condition runs the network forward and backward once more, each convolution up to
four times. It is the oracle of the direct engine, and serves networks which that one does not cover. Hooks
are not thread-safe; the caller holds the model's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from crp.attribution import CondAttribution
from numpy.typing import NDArray
from torch import Tensor, nn
from zennit import rules as zennit_rules
from zennit.core import Composite, Hook
from zennit.types import Activation, Convolution

from ml.model import Model
from ml.networks.blocks import SoftmaxTimePool
from ml.relevance.evidence import HEAD, Evidence, OnMap, strongest_channels
from ml.relevance.methods import EPSILON, AlphaBeta, Box, Epsilon, Flat, Gamma, Method, Rule
from ml.relevance.target import Target
from ml.relevance.trace import layers_of

_BATCH_WINDOWS = 4  # windows explained at once: bounds memory


@dataclass(frozen=True)
class _Question:
    """What is asked of zennit-crp: why this target, by this method, split at this layer."""

    model: Model
    target: Target
    method: Method
    layer: str

    def attribute(self, batch: NDArray[np.floating], channels: Sequence[int] | None) -> Any:
        """One conditional attribution of every window of a batch: zennit-crp's own named tuple.

        Without `channels` it is that of the whole, with the concept layer's relevance.
        """
        data = torch.from_numpy(batch).unsqueeze(1).to(self.model.device).requires_grad_(True)
        condition = {} if channels is None else {self.layer: list(channels)}
        attribute = CondAttribution(self.model.network, device=self.model.device)
        return attribute(
            data,
            [dict(condition) for _ in batch],
            make_composite(self.model.network, self.method),
            record_layer=[self.layer] if channels is None else [],
            init_rel=self._start,
        )

    def _start(self, logits: Tensor) -> Tensor:
        return torch.from_numpy(self.target.start(logits.detach().cpu().numpy())).to(logits)


def explain_targets(
    model: Model,
    inputs: NDArray[np.floating],
    targets: Sequence[Target],
    *,
    n_concepts: int,
    method: Method,
    layer: str,
    on_map: OnMap | None = None,
) -> tuple[Evidence, ...]:
    """Explain targets in windows; see `ml.relevance.engine.explain_targets`."""
    explained = []
    for target in targets:
        question = _Question(model, target, method, layer)
        values, maps, channels = [], [], []
        for batch in _batches(inputs):
            attribution = question.attribute(batch, None)
            values.append(target.start(attribution.prediction.detach().cpu().numpy()).sum(axis=1))
            maps.append(attribution.heatmap.cpu().numpy())
            channels.append(attribution.relevances[layer].sum(dim=(2, 3)).cpu().numpy())
        by_channel = np.concatenate(channels)
        if on_map is not None:
            on_map(len(inputs))
        strongest = strongest_channels(by_channel, n_concepts)
        others = [channel for channel in range(by_channel.shape[1]) if channel not in strongest]
        concept_maps = []
        for group in (*([channel] for channel in strongest), others):
            concept_maps.append(_concept_relevance(question, inputs, group))
            if on_map is not None:
                on_map(len(inputs))
        explained.append(
            Evidence(
                np.concatenate(values), by_channel, np.concatenate(maps), strongest, np.stack(concept_maps)
            )
        )
    return tuple(explained)


def concept_relevance(
    model: Model,
    inputs: NDArray[np.floating],
    target: Target,
    channels: Sequence[int],
    *,
    method: Method,
    layer: str,
) -> NDArray[np.floating]:
    """The part of a target's relevance that passes through some channels of a layer.

    Parameters
    ----------
    model : Model
    inputs : ndarray, shape (n_windows, n_mels, n_frames)
    target : Target
    channels : sequence of int
        One channel for a concept; the complement of several for a remainder.
    method : Method
    layer : str
        A convolution of the network.

    Returns
    -------
    ndarray, shape (n_windows, n_mels, n_frames)
        Zero where `channels` is empty.
    """
    return _concept_relevance(_Question(model, target, method, layer), inputs, channels)


def make_composite(network: nn.Module, method: Method) -> Composite:
    """A method's rules, as zennit takes them.

    Parameters
    ----------
    network : nn.Module
    method : Method
    """
    convolutions = [name for name, module in layers_of(network) if isinstance(module, Convolution)]

    def rule_for(context: object, name: str, module: nn.Module) -> Hook | None:
        del context
        if name == HEAD or isinstance(module, nn.Linear):
            return _hook_of(Epsilon())
        if isinstance(module, Convolution):
            return _hook_of(method.first if name == convolutions[0] else method.convolutions)
        if isinstance(module, SoftmaxTimePool):
            return zennit_rules.Norm()
        return zennit_rules.Pass() if isinstance(module, Activation) else None

    return Composite(module_map=rule_for)


def _hook_of(rule: Rule) -> Hook:
    match rule:
        case Epsilon():
            return zennit_rules.Epsilon(epsilon=EPSILON)
        case Gamma(gamma):
            return zennit_rules.Gamma(gamma=gamma)
        case AlphaBeta(1.0, 0.0):
            return zennit_rules.ZPlus()
        case AlphaBeta(alpha, beta):
            return zennit_rules.AlphaBeta(alpha=alpha, beta=beta)
        case Flat():
            return zennit_rules.Flat()
        case Box(low, high):
            return zennit_rules.ZBox(low=low, high=high)


def _concept_relevance(
    question: _Question, inputs: NDArray[np.floating], channels: Sequence[int]
) -> NDArray[np.floating]:
    if not channels:
        return np.zeros_like(inputs)
    return np.concatenate(
        [question.attribute(batch, channels).heatmap.cpu().numpy() for batch in _batches(inputs)]
    )


def _batches(inputs: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    for first in range(0, len(inputs), _BATCH_WINDOWS):
        yield inputs[first : first + _BATCH_WINDOWS]
