"""The direct engine: relevance of sequential convolutional networks, rule by rule, without hooks.

What makes it fast, with the equations of `ml.relevance`:

* one forward pass, shared by all labels and concepts;
* above the concept layer everything is small and is carried back for all labels at once;
* in a convolution with inputs ``a >= 0``, alpha-beta (Bach et al. 2015, eq. 60) becomes

  ``R_j = a_j sum_k (w_jk^+ alpha / z_k^+ - w_jk^- beta / z_k^-) R_k``,
  ``z_k^+ = sum_j a_j w_jk^+ + b_k^+``,  ``z_k^- = sum_j a_j w_jk^- + b_k^-``.

  The denominators belong to the window, not to the map, and are computed once. What is left per map is linear
  in `R`: one product with a constant and one convolution with ``w^+`` and ``w^-`` stacked, for all maps in
  one batch;
* a window's constants below a max pooling are zero but at the winners and carry the factor ``a_j`` too, so
  un-pooling and multiplying by the activation cost nothing extra;
* the whole map is the sum of its concepts and their remainder (relevance is linear below the concept layer),
  so it is added up, not propagated.

Tensors are `(maps, channels, height, width)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ml.model import Model
from ml.networks.blocks import SoftmaxTimePool, ToImage
from ml.relevance.evidence import ALPHA, BETA, EPSILON, HEAD, Evidence, OnMap, strongest_channels

_BATCH_MAPS = 6  # maps carried down at once: what lies between two convolutions then stays in the cache
_PASSED_ON = (nn.ReLU, nn.Identity, nn.Dropout)


@dataclass(frozen=True)
class Step:
    """A layer of the network and the activation `(n, ...)` that enters it."""

    name: str
    module: nn.Module
    entering: Tensor


def covers(network: nn.Module, concept_layer: str) -> bool:
    """Whether this engine can explain a network.

    Parameters
    ----------
    network : nn.Module
        Frozen (batch norms folded).
    concept_layer : str

    Returns
    -------
    bool
        True for a sequence of plain convolutions, ReLUs and 2x2 max poolings up to the concept layer, then of
        those, flattening, a linear head and pooling over time; an image may be made of the input first.
    """
    names = [name for name, _ in _layers(network)]
    if concept_layer not in names:
        return False
    at = names.index(concept_layer)
    below = _layers(network)[: at + 1]
    above = _layers(network)[at + 1 :]
    return all(
        _is_plain_convolution(module)
        or isinstance(module, (*_PASSED_ON, nn.MaxPool2d))
        or (index == 0 and isinstance(module, ToImage))
        for index, (_, module) in enumerate(below)
    ) and all(
        name == HEAD or isinstance(module, (*_PASSED_ON, nn.MaxPool2d, nn.Flatten, SoftmaxTimePool))
        for name, module in above
    )


def explain_labels(
    model: Model,
    inputs: NDArray[np.floating],
    labels: Sequence[int],
    n_concepts: int,
    on_map: OnMap | None = None,
) -> tuple[Evidence, ...]:
    """Explain labels in windows; see `ml.relevance.engine.explain_labels`."""
    network, concept_layer = model.network, model.concept_layer
    with torch.inference_mode():
        data = torch.from_numpy(inputs).unsqueeze(1).to(model.device, memory_format=torch.channels_last)
        windows = [_Window.of(network, concept_layer, data[i : i + 1], labels) for i in range(len(data))]
        # (n_windows, n_labels, n_channels)
        by_channel = np.stack([window.at_concepts.sum(dim=(2, 3)).cpu().numpy() for window in windows])
        if on_map is not None:
            on_map(len(windows) * len(labels))
        strongest = [strongest_channels(by_channel[:, index], n_concepts) for index in range(len(labels))]
        concept_maps = np.stack([window.concept_maps(strongest, on_map) for window in windows], axis=2)
    return tuple(
        Evidence(
            logits=np.array([window.logits[index] for window in windows]),
            channels=by_channel[:, index],
            maps=concept_maps[index].sum(axis=0),
            strongest=strongest[index],
            concept_maps=concept_maps[index],
        )
        for index in range(len(labels))
    )


@dataclass(frozen=True)
class _Stage:
    """One convolution on the way down, with the constants that this window gives it.

    `constants` are ``alpha / z^+`` and ``-beta / z^-``, times what lies above up to the next convolution: the
    winners of the pooling and the activation ``a`` that entered there. They are stored as `(rows, pool,
    columns, pool, 2, n_out)`, with `pool` 2 below a max pooling and else 1: so a message from above, `(maps,
    rows, 1, columns, 1, 1, n_out)`, is un-pooled, multiplied and stacked in one pass over memory, channels
    last as convolutions like it.
    """

    weights: Tensor  # (2 * n_out, n_in, kernel_height, kernel_width): w^+ and w^- stacked
    constants: Tensor
    height: int  # of the convolution's output; pooling may have dropped an odd last row or column
    width: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    output_padding: tuple[int, int]

    def descend(self, message: Tensor) -> Tensor:
        """Carry ``sum_k w_jk ... R_k``, not yet multiplied by ``a_j``, one convolution down."""
        rows, pool, columns, _, _, n_out = self.constants.shape
        new = torch.empty if (rows * pool, columns * pool) == (self.height, self.width) else torch.zeros
        stacked = new(
            (len(message), self.height, self.width, 2 * n_out), dtype=message.dtype, device=message.device
        )
        pooled = stacked[:, : rows * pool, : columns * pool]
        torch.mul(
            message.permute(0, 2, 3, 1)[:, :, None, :, None, None, :],
            self.constants,
            out=pooled.view(len(message), rows, pool, columns, pool, 2, n_out),
        )
        return functional.conv_transpose2d(
            stacked.permute(0, 3, 1, 2), self.weights, None, self.stride, self.padding, self.output_padding
        )


@dataclass(frozen=True)
class _Window:
    """One window: what entered every layer, relevance at the concept layer, and the way down from there."""

    logits: tuple[float, ...]  # one for each label
    at_concepts: Tensor  # (n_labels, n_channels, height, width)
    stages: tuple[_Stage, ...]  # from the concept layer down to the first convolution
    first: Tensor  # (1, n_in, height, width): what entered the first convolution
    image_of: Tensor | None  # (1, 1, n_mels, n_frames): the log-mel, where an image was made of it

    @staticmethod
    def of(network: nn.Module, concept_layer: str, data: Tensor, labels: Sequence[int]) -> _Window:
        """Run the network over a window `(1, 1, n_mels, n_frames)`; carry labels up to the concepts."""
        steps, output = _trace(network, data)
        at = next(index for index, step in enumerate(steps) if step.name == concept_layer)
        relevance = torch.zeros((len(labels), output.shape[1]), dtype=output.dtype, device=output.device)
        for row, label in enumerate(labels):
            relevance[row, label] = output[0, label]
        for step in reversed(steps[at + 1 :]):
            relevance = _carry_up(step, relevance)
        below = steps[: at + 1]
        image_of = below[0].entering if isinstance(below[0].module, ToImage) else None
        first = next(step.entering for step in below if isinstance(step.module, nn.Conv2d))
        logits = tuple(float(output[0, label]) for label in labels)
        return _Window(logits, relevance, _stages(below), first, image_of)

    def concept_maps(self, strongest: Sequence[Sequence[int]], on_map: OnMap | None) -> NDArray[np.floating]:
        """Maps of each label's strongest channels and its remainder: `(n_labels, n_groups, ...)`."""
        starts = []
        for relevance, channels in zip(self.at_concepts, strongest, strict=True):
            remainder = relevance.clone()
            remainder[list(channels)] = 0.0
            for channel in channels:
                alone = torch.zeros_like(relevance)
                alone[channel] = relevance[channel]
                starts.append(alone)
            starts.append(remainder)
        maps = []
        for first in range(0, len(starts), _BATCH_MAPS):
            message = torch.stack(starts[first : first + _BATCH_MAPS]).contiguous(
                memory_format=torch.channels_last
            )
            for stage in self.stages:
                message = stage.descend(message)
            maps.append(self._to_log_mel(self.first * message))
            if on_map is not None:
                on_map(len(message))
        flat = torch.cat(maps).cpu().numpy()
        return flat.reshape(len(strongest), -1, *flat.shape[1:])

    def _to_log_mel(self, relevance: Tensor) -> Tensor:
        """Relevance of the first convolution's input as `(maps, n_mels, n_frames)`."""
        if self.image_of is None:
            return relevance[:, 0]
        n_mels, n_frames = self.image_of.shape[2:]
        rows = _interpolation(n_mels, relevance.shape[2]).to(relevance)  # (n_pixels, n_mels)
        columns = _interpolation(n_frames, relevance.shape[3]).to(relevance)
        return rows.T @ relevance.sum(dim=1) @ columns


def _layers(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers in the order they run."""
    return [
        (name, module) for name, module in network.named_modules() if name and not list(module.children())
    ]


def _trace(network: nn.Module, data: Tensor) -> tuple[list[Step], Tensor]:
    steps = []
    for name, module in _layers(network):
        steps.append(Step(name, module, data))
        data = module(data)
    return steps, data


def _is_plain_convolution(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def _stabilized(z: Tensor) -> Tensor:
    """``z + epsilon sign(z)``, with sign(0) = 1."""
    return z + torch.where(z >= 0, EPSILON, -EPSILON)


def _carry_up(step: Step, relevance: Tensor) -> Tensor:
    """Relevance of what entered a layer above the concepts, for all labels: `(n_labels, ...)`."""
    a, module = step.entering, step.module
    if isinstance(module, SoftmaxTimePool):
        contributions = module.weights(a) * a.flatten(2)  # (1, classes, steps)
        pooled = contributions.sum(dim=-1, keepdim=True)
        return (contributions / _stabilized(pooled) * relevance[..., None]).unsqueeze(2)
    if isinstance(module, nn.Linear):
        return a * ((relevance / _stabilized(module(a))) @ module.weight)
    if isinstance(module, nn.Conv2d):
        quotient = relevance / _stabilized(module(a))
        return a * functional.conv_transpose2d(quotient, module.weight, None, module.stride, module.padding)  # type: ignore[arg-type]
    if isinstance(module, nn.MaxPool2d):
        return _unpooled(relevance, a)
    if isinstance(module, nn.Flatten):
        return relevance.reshape(len(relevance), *a.shape[1:])
    return relevance


def _stages(below: Sequence[Step]) -> tuple[_Stage, ...]:
    """The convolutions from the concept layer down, each with what lies between it and the one above."""
    stages: list[_Stage] = []
    gate: Tensor | None = None  # what entered the convolution above, brought to this one's output
    pool = 1
    for step in reversed(below):
        a, module = step.entering, step.module
        if isinstance(module, nn.MaxPool2d) and gate is not None:
            gate = _unpooled(gate, a)
            pool = 2
        elif isinstance(module, nn.Conv2d):
            stages.append(_stage_of(module, a, gate, pool))
            gate, pool = a, 1
    return tuple(stages)


def _stage_of(module: nn.Conv2d, a: Tensor, gate: Tensor | None, pool: int) -> _Stage:
    positive, negative = module.weight.clamp(min=0), module.weight.clamp(max=0)
    bias = module.bias if module.bias is not None else torch.zeros_like(module.weight[:, 0, 0, 0])
    stride, padding = (module.stride[0], module.stride[1]), (int(module.padding[0]), int(module.padding[1]))
    z_positive = functional.conv2d(a, positive, bias.clamp(min=0), stride, padding)
    z_negative = functional.conv2d(a, negative, bias.clamp(max=0), stride, padding)
    constants = torch.stack([ALPHA / _stabilized(z_positive), -BETA / _stabilized(z_negative)], dim=1)
    if gate is not None:
        constants *= gate[:, None]
    height, width = constants.shape[3:]
    rows, columns = height // pool, width // pool
    cut = constants[0, :, :, : rows * pool, : columns * pool].permute(2, 3, 0, 1)  # (height, width, 2, n_out)
    kernel = module.kernel_size
    return _Stage(
        weights=torch.cat([positive, negative]).contiguous(memory_format=torch.channels_last),
        constants=cut.reshape(rows, pool, columns, pool, 2, -1).contiguous(),
        height=height,
        width=width,
        stride=stride,
        padding=padding,
        output_padding=(
            (a.shape[2] + 2 * padding[0] - kernel[0]) % stride[0],
            (a.shape[3] + 2 * padding[1] - kernel[1]) % stride[1],
        ),
    )


def _unpooled(pooled: Tensor, a: Tensor) -> Tensor:
    """Put every value of a 2x2 max pooling of `a` where it was won."""
    spread = functional.interpolate(pooled, scale_factor=2, mode="nearest")
    short = (a.shape[2] - spread.shape[2], a.shape[3] - spread.shape[3])  # an odd last row or column
    return functional.pad(spread, (0, short[1], 0, short[0])) * _winners(a)


def _winners(a: Tensor) -> Tensor:
    """1 where 2x2 max pooling takes its value from, else 0; shape of `a`."""
    _, indices = functional.max_pool2d(a, 2, return_indices=True)
    flat = torch.zeros_like(a, memory_format=torch.contiguous_format).flatten(2)
    return flat.scatter_(2, indices.flatten(2), 1.0).reshape(a.shape)


def _interpolation(n_cells: int, n_pixels: int) -> Tensor:
    """Bilinear weights along one axis `(n_pixels, n_cells)`, as `ToImage` interpolates."""
    unit = torch.eye(n_cells, dtype=torch.float64)[:, None]  # (n_cells, 1, n_cells): one unit vector each
    return functional.interpolate(unit, size=n_pixels, mode="linear", align_corners=False)[:, 0].T
