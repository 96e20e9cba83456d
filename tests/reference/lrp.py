"""Layer-wise relevance propagation again, slower and less complicated: one formula a layer, no hooks.

`propagate` walks a frozen network backwards in float64 and writes every rule out with explicit
contributions; `dense_matrix` turns a small linear layer into a plain matrix, so that even the convolutions of
`propagate` can be checked by hand-written sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.networks.blocks import SoftmaxTimePool, ToImage

EPSILON = 1e-6  # the head's, as in ml.relevance
ZENNIT_STABILIZER = 1e-6  # zennit adds it to every denominator


def layers_of(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The leaf modules in the order they run."""
    return [
        (name, module) for name, module in network.named_modules() if not list(module.children()) and name
    ]


def stabilized(z: Tensor) -> Tensor:
    """``z + eps * sign(z)`` with sign(0) = 1."""
    return z + ZENNIT_STABILIZER * torch.where(z >= 0, 1.0, -1.0).to(z)


def propagate(
    network: nn.Module,
    x: Tensor,
    label: int,
    concept_layer: str | None = None,
    channels: list[int] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Relevance of the input `(n, 1, n_mels, n_frames)`, and of the concept layer's output.

    With `channels`, all other channels' relevance is set to zero at the concept layer.
    """
    network, activation = network.double(), x.double()
    trace: list[tuple[str, nn.Module, Tensor]] = []
    for name, module in layers_of(network):
        trace.append((name, module, activation))
        activation = module(activation)
    relevance = torch.zeros_like(activation)
    relevance[:, label] = activation[:, label]
    at_concepts = None
    for name, module, entering in reversed(trace):
        if name == concept_layer:
            if channels is not None:
                kept = torch.zeros_like(relevance)
                kept[:, channels] = relevance[:, channels]
                relevance = kept
            at_concepts = relevance
        relevance = _through(name, module, entering, relevance)
    return relevance, at_concepts


def _through(name: str, module: nn.Module, a: Tensor, relevance: Tensor) -> Tensor:
    if isinstance(module, (nn.ReLU, nn.Identity, nn.Dropout)):
        return relevance
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
        return _resize_adjoint(a, relevance)
    if name == "head":
        assert isinstance(module, (nn.Linear, nn.Conv2d))
        return a * _transposed(module, a, relevance / stabilized(module(a)), module.weight)
    assert isinstance(module, nn.Conv2d)
    return _alpha2_beta1(module, a, relevance)


def _alpha2_beta1(module: nn.Conv2d, a: Tensor, relevance: Tensor) -> Tensor:
    """``R_j = sum_k (2 (a_j w_jk)^+ / z_k^+ - (a_j w_jk)^- / z_k^-) R_k``, biases in the denominators."""
    weight, bias = module.weight, module.bias
    assert bias is not None
    a_pos, a_neg = a.clamp(min=0), a.clamp(max=0)
    w_pos, w_neg = weight.clamp(min=0), weight.clamp(max=0)
    conv = _convolution(module)
    z_pos = conv(a_pos, w_pos) + conv(a_neg, w_neg) + bias.clamp(min=0)[:, None, None]
    z_neg = conv(a_pos, w_neg) + conv(a_neg, w_pos) + bias.clamp(max=0)[:, None, None]
    up, down = relevance / stabilized(z_pos), relevance / stabilized(z_neg)
    for_ = a_pos * _transposed(module, a, up, w_pos) + a_neg * _transposed(module, a, up, w_neg)
    against = a_pos * _transposed(module, a, down, w_neg) + a_neg * _transposed(module, a, down, w_pos)
    return 2.0 * for_ - against


def _convolution(module: nn.Conv2d) -> Callable[[Tensor, Tensor], Tensor]:
    def convolve(a: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.conv2d(a, weight, None, module.stride, module.padding)

    return convolve


def _transposed(module: nn.Module, a: Tensor, message: Tensor, weight: Tensor) -> Tensor:
    """``sum_k w_jk m_k`` for every input j."""
    if isinstance(module, nn.Linear):
        return message @ weight
    assert isinstance(module, nn.Conv2d)
    convolve = nn.functional.conv_transpose2d
    height, width = module.stride  # what the strides left over at the far edges is padded back
    missing = (
        (a.shape[2] + 2 * int(module.padding[0]) - module.kernel_size[0]) % height,
        (a.shape[3] + 2 * int(module.padding[1]) - module.kernel_size[1]) % width,
    )
    padding = (int(module.padding[0]), int(module.padding[1]))
    return convolve(message, weight, None, (height, width), padding, missing)


def _resize_adjoint(a: Tensor, relevance: Tensor) -> Tensor:
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
