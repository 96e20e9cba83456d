"""Layer-wise relevance propagation again, slower and less complicated: one formula a layer, no hooks.

`propagate` walks a frozen network backwards in float64, with the rules of `lrp_rules`; `dense_matrix` turns a
small linear layer into a plain matrix, so that even those can be checked by hand-written sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.networks.blocks import SoftmaxTimePool, ToImage
from tests.reference.lrp_rules import BY_METHOD, Rule, epsilon, stabilized

Start = Callable[[Tensor], Tensor]  # logits (n, n_labels) -> their relevance


def layers_of(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The leaf modules in the order they run."""
    return [
        (name, module) for name, module in network.named_modules() if not list(module.children()) and name
    ]


def propagate(
    network: nn.Module,
    x: Tensor,
    start: int | Start,
    concept_layer: str | None = None,
    channels: list[int] | None = None,
    *,
    method: str = "alpha2-beta1",
) -> tuple[Tensor, Tensor | None]:
    """Relevance of the input `(n, 1, n_mels, n_frames)`, and of the concept layer's output.

    It starts at a label's logit or as `start` says. With `channels`, all other channels' relevance is set to
    zero at the concept layer.
    """
    network, activation = network.double(), x.double()
    trace: list[tuple[str, nn.Module, Tensor]] = []
    for name, module in layers_of(network):
        trace.append((name, module, activation))
        activation = module(activation)
    if isinstance(start, int):
        relevance = torch.zeros_like(activation)
        relevance[:, start] = activation[:, start]
    else:
        relevance = start(activation)
    rules = _rules(network, method)
    at_concepts = None
    for name, module, entering in reversed(trace):
        if name == concept_layer:
            if channels is not None:
                kept = torch.zeros_like(relevance)
                kept[:, channels] = relevance[:, channels]
                relevance = kept
            at_concepts = relevance
        if name in rules:
            relevance = rules[name](module, entering, relevance)
        else:
            relevance = _through(module, entering, relevance)
    return relevance, at_concepts


def _rules(network: nn.Module, method: str) -> dict[str, Rule]:
    """Which rule each layer with weights has."""
    of_convolutions, of_first = BY_METHOD[method]
    linear = [name for name, module in layers_of(network) if isinstance(module, (nn.Conv2d, nn.Linear))]
    return dict.fromkeys(linear, of_convolutions) | {linear[0]: of_first, "head": epsilon}


def _through(module: nn.Module, a: Tensor, relevance: Tensor) -> Tensor:
    """Relevance of what entered a layer without weights."""
    if isinstance(module, nn.Flatten):
        return relevance.reshape(a.shape)
    if isinstance(module, SoftmaxTimePool):
        z = a.flatten(2)
        contributions = torch.softmax(z / module.temperature, -1) * z  # (n, classes, steps)
        pooled = contributions.sum(-1, keepdim=True)
        return (contributions / stabilized(pooled) * relevance[..., None]).reshape(a.shape)
    if isinstance(module, nn.MaxPool2d):
        _, winners = nn.functional.max_pool2d(a, 2, return_indices=True)
        passed = torch.zeros_like(a).flatten(2)
        return passed.scatter_add(2, winners.flatten(2), relevance.flatten(2)).reshape(a.shape)
    if isinstance(module, ToImage):
        return resize_adjoint(a, relevance)
    assert isinstance(module, (nn.ReLU, nn.Identity, nn.Dropout))
    return relevance


def resize_adjoint(a: Tensor, relevance: Tensor) -> Tensor:
    """Each pixel gives its relevance to the cells (at most four) it was interpolated from, by weight."""
    rows = interpolation_matrix(a.shape[2], relevance.shape[2])  # (n_pixels, n_cells)
    columns = interpolation_matrix(a.shape[3], relevance.shape[3])
    summed = relevance.sum(dim=1, keepdim=True)
    return torch.einsum("ph,ncpq,qw->nchw", rows, summed, columns)


def interpolation_matrix(n_cells: int, n_pixels: int) -> Tensor:
    """Bilinear weights along one axis, pixel centres at (i + 0.5) * n_cells / n_pixels - 0.5."""
    matrix = torch.zeros(n_pixels, n_cells, dtype=torch.float64)
    for pixel in range(n_pixels):
        position = max((pixel + 0.5) * n_cells / n_pixels - 0.5, 0.0)
        lower = min(int(position), n_cells - 1)
        upper = min(lower + 1, n_cells - 1)
        weight = position - lower
        matrix[pixel, lower] += 1.0 - weight
        matrix[pixel, upper] += weight
    return matrix


def dense_matrix(module: nn.Module, in_shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A linear layer without its bias as the matrix `(n_out, n_in)`, by applying it to every unit vector."""
    size = int(np.prod(in_shape))
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *in_shape)
    offset: Any = module(torch.zeros(1, *in_shape, dtype=torch.float64))
    columns = (module(basis) - offset).flatten(1)
    matrix: NDArray[np.float64] = columns.T.detach().numpy()
    return matrix
