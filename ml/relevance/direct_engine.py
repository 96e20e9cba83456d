"""The direct engine: relevance of sequential convolutional networks, rule by rule, without hooks.

What makes it fast:

* one forward pass, shared by all targets and concepts;
* above the convolutions everything is small and is carried back for all targets at once (`above`);
* denominators belong to the window, not to the map, and are computed once (`rules`);
* all maps go down together: on processors cell by cell, past the cells that have nothing to share
  (`sparse_descent`), on other devices by one product and one convolution a layer (`descent`);
* the whole map is the sum of its concepts and their remainder (relevance is linear below the concept layer),
  so it is added up, not propagated.

Tensors are `(maps, channels, height, width)`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ml.model import Model
from ml.networks.blocks import SoftmaxTimePool, ToImage
from ml.relevance.above import carry
from ml.relevance.descent import Descent
from ml.relevance.evidence import HEAD, Evidence, OnMap, strongest_channels
from ml.relevance.methods import Method, Rule
from ml.relevance.sparse_descent import SparseDescent
from ml.relevance.target import Target
from ml.relevance.trace import Step, convolutions_of, layers_of, trace

# Windows whose activations, 13 MB of each with `default` and 35 MB with `reference`, are kept from the first
# pass until their maps are made. Of a longer recording they are computed again: a tenth of a map's time, and
# memory that does not grow with its length.
_KEPT_WINDOWS = 4
_PASSED_ON = (nn.ReLU, nn.Identity, nn.Dropout)


def covers(network: nn.Module) -> bool:
    """Whether this engine can explain a network.

    Parameters
    ----------
    network : nn.Module
        Frozen (batch norms folded).

    Returns
    -------
    bool
        True for a sequence of plain convolutions, each but the last followed by a ReLU, with at most one 2x2
        max pooling between two; then of poolings, flattening, a linear head and pooling over time. An image
        may be made of the input.
    """
    layers = layers_of(network)
    names = [name for name, _ in layers]
    convolutions = convolutions_of(network)
    if not convolutions or HEAD not in names:
        return False
    last = names.index(convolutions[-1])
    rectified, pooled = True, False  # the log-mel is not negative
    for index, (_, module) in enumerate(layers[: last + 1]):
        if isinstance(module, nn.Conv2d):
            if not (rectified and _is_plain(module)):
                return False
            rectified, pooled = False, False
        elif _halves(module) and not pooled:
            pooled = True
        elif isinstance(module, nn.ReLU):
            rectified = True
        elif not (isinstance(module, _PASSED_ON) or (index == 0 and isinstance(module, ToImage))):
            return False
    return all(
        name == HEAD or isinstance(module, (*_PASSED_ON, nn.Flatten, SoftmaxTimePool)) or _halves(module)
        for name, module in layers[last + 1 :]
    )


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
    with torch.inference_mode():
        data = torch.from_numpy(inputs).unsqueeze(1).to(model.device, memory_format=torch.channels_last)

        def window(index: int) -> Window:
            return Window.of(model.network, data[index : index + 1], targets, method, layer)

        kept, values, by_channel = [], [], []
        for index in range(len(data)):
            each = window(index)
            values.append(each.values)
            by_channel.append(each.at_concepts.sum(dim=(2, 3)).cpu().numpy())  # (n_targets, n_channels)
            if index < _KEPT_WINDOWS:
                kept.append(each)
        if on_map is not None:
            on_map(len(data) * len(targets))
        channels = np.stack(by_channel, axis=1)  # (n_targets, n_windows, n_channels)
        strongest = [strongest_channels(of_target, n_concepts) for of_target in channels]
        concept_maps = np.empty((len(targets), len(strongest[0]) + 1, *inputs.shape), dtype=inputs.dtype)
        for index in range(len(data)):
            each = kept.pop(0) if kept else window(index)
            concept_maps[:, :, index] = each.concept_maps(strongest, on_map)
    return tuple(
        Evidence(
            logits=np.array([of_window[index] for of_window in values]),
            channels=channels[index],
            maps=concept_maps[index].sum(axis=0),
            strongest=strongest[index],
            concept_maps=concept_maps[index],
        )
        for index in range(len(targets))
    )


@dataclass(frozen=True)
class Window:
    """One window: relevance at the concept layer, and the way down from there."""

    values: tuple[float, ...]  # of each target
    at_concepts: Tensor  # (n_targets, n_channels, height, width)
    steps: tuple[Step, ...]  # from the log-mel up to the concept layer
    method: Method

    @staticmethod
    def of(network: nn.Module, data: Tensor, targets: Sequence[Target], method: Method, layer: str) -> Window:
        """Run the network over a window `(1, 1, n_mels, n_frames)`; carry targets down to the concepts."""
        steps, logits = trace(network, data)
        at = {step.name: index for index, step in enumerate(steps)}
        convolutions = convolutions_of(network)
        concepts, last = at[layer], at[convolutions[-1]]
        started = np.concatenate([target.start(logits.cpu().numpy()) for target in targets])
        relevance = torch.from_numpy(started).to(logits)  # (n_targets, n_labels)
        for step in reversed(steps[last + 1 :]):
            relevance = carry(step, relevance)
        if concepts < last:
            relevance = _between(steps[concepts + 1 : last + 1], method, relevance)
        values = tuple(float(value) for value in started.sum(axis=1))
        return Window(values, relevance, tuple(steps[: concepts + 1]), method)

    @functools.cached_property
    def below(self) -> Descent | SparseDescent:
        """The way down from the concepts; made when it is first needed, since not everybody goes down."""
        first = next(at for at, step in enumerate(self.steps) if isinstance(step.module, nn.Conv2d))
        descent = self.steps[first:]
        return _descent_of(
            descent, [self.method.first, *([self.method.convolutions] * (_n_convolutions(descent) - 1))]
        )

    def concept_maps(self, strongest: Sequence[Sequence[int]], on_map: OnMap | None) -> NDArray[np.floating]:
        """Maps of each target's strongest channels and its remainder: `(n_targets, n_groups, ...)`."""
        starts, n_maps = self._starts(strongest), sum(len(channels) + 1 for channels in strongest)
        n_batches = -(-n_maps // self.below.most_maps)
        maps = []
        while batch := list(islice(starts, -(-n_maps // n_batches))):
            maps.append(self.to_log_mel(self.below.descend(torch.stack(batch))).cpu().numpy())
            if on_map is not None:
                on_map(len(batch))
        flat = maps[0] if len(maps) == 1 else np.concatenate(maps)
        return flat.reshape(len(strongest), -1, *flat.shape[1:])

    def _starts(self, strongest: Sequence[Sequence[int]]) -> Iterator[Tensor]:
        """Relevance at the concept layer of each channel alone, then of all others."""
        for relevance, channels in zip(self.at_concepts, strongest, strict=True):
            for channel in channels:
                alone = torch.zeros_like(relevance)
                alone[channel] = relevance[channel]
                yield alone
            remainder = relevance.clone()
            remainder[list(channels)] = 0.0
            yield remainder

    def to_log_mel(self, relevance: Tensor) -> Tensor:
        """Relevance of the first convolution's input as `(maps, n_mels, n_frames)`."""
        if not isinstance(self.steps[0].module, ToImage):
            return relevance[:, 0]
        n_mels, n_frames = self.steps[0].entering.shape[2:]
        rows = _interpolation(n_mels, relevance.shape[2]).to(relevance)  # (n_pixels, n_mels)
        columns = _interpolation(n_frames, relevance.shape[3]).to(relevance)
        return rows.T @ relevance.sum(dim=1) @ columns


def _between(steps: Sequence[Step], method: Method, relevance: Tensor) -> Tensor:
    """Relevance from the last convolution's output to that of the concept layer, which lies below `steps`."""
    lowest = next(index for index, step in enumerate(steps) if isinstance(step.module, nn.Conv2d))
    descent = steps[lowest:]
    relevance = _descent_of(descent, [method.convolutions] * _n_convolutions(descent)).descend(relevance)
    for step in reversed(steps[:lowest]):
        relevance = carry(step, relevance)
    return relevance


def _descent_of(steps: Sequence[Step], rules: Sequence[Rule]) -> Descent | SparseDescent:
    kind = SparseDescent if steps[0].entering.device.type == "cpu" else Descent
    return kind.of(steps, rules)


def _n_convolutions(steps: Sequence[Step]) -> int:
    return sum(isinstance(step.module, nn.Conv2d) for step in steps)


def _is_plain(module: nn.Conv2d) -> bool:
    return (
        module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def _halves(module: nn.Module) -> bool:
    """Whether a module is a max pooling of 2x2 cells."""
    return isinstance(module, nn.MaxPool2d) and (
        module.kernel_size in (2, (2, 2))
        and module.stride in (2, (2, 2))
        and module.padding in (0, (0, 0))
        and module.dilation in (1, (1, 1))
        and not module.ceil_mode
    )


def _interpolation(n_cells: int, n_pixels: int) -> Tensor:
    """Bilinear weights along one axis `(n_pixels, n_cells)`, as `ToImage` interpolates."""
    unit = torch.eye(n_cells, dtype=torch.float64)[:, None]  # (n_cells, 1, n_cells): one unit vector each
    return functional.interpolate(unit, size=n_pixels, mode="linear", align_corners=False)[:, 0].T
