"""Above the convolutions: relevance from the logits to what the last convolution gave.

The same in every method (equations in `ml.relevance`): LRP-epsilon at the linear head; pooling over time in
the shares of its held weights; max pooling gives all to the winner; ReLU and dropout pass relevance on. All
of it is small, so it is written for clearness. Relevance is carried for all targets in one batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.networks.blocks import SoftmaxTimePool
from ml.relevance.rules import stabilized
from ml.relevance.trace import Step


def carry(step: Step, relevance: Tensor) -> Tensor:
    """Carry relevance through one layer that is no convolution below the head.

    Parameters
    ----------
    step : Step
        Of one window.
    relevance : Tensor, shape (n_targets, ...)
        Of what left the layer.

    Returns
    -------
    Tensor, shape (n_targets, ...)
        Of what entered it.
    """
    a, module = step.entering, step.module
    if isinstance(module, SoftmaxTimePool):
        contributions = module.weights(a) * a.flatten(2)  # (1, classes, steps)
        pooled = contributions.sum(dim=-1, keepdim=True)
        return (contributions / stabilized(pooled) * relevance[..., None]).unsqueeze(2)
    if isinstance(module, nn.Linear):
        return a * ((relevance / stabilized(module(a))) @ module.weight)
    if isinstance(module, nn.Conv2d):
        where: Any = (module.stride, module.padding)
        return a * functional.conv_transpose2d(relevance / stabilized(module(a)), module.weight, None, *where)
    if isinstance(module, nn.MaxPool2d):
        return unpooled(relevance, a)
    if isinstance(module, nn.Flatten):
        return relevance.reshape(len(relevance), *a.shape[1:])
    return relevance


def unpooled(pooled: Tensor, a: Tensor) -> Tensor:
    """Put every value of a 2x2 max pooling where it was won.

    Parameters
    ----------
    pooled : Tensor, shape (n, channels, height // 2, width // 2)
    a : Tensor, shape (1, channels, height, width)
        What was pooled.

    Returns
    -------
    Tensor, shape (n, channels, height, width)
    """
    spread = functional.interpolate(pooled, scale_factor=2, mode="nearest")
    short = (a.shape[2] - spread.shape[2], a.shape[3] - spread.shape[3])  # an odd last row or column
    return functional.pad(spread, (0, short[1], 0, short[0])) * _winners(a)


def _winners(a: Tensor) -> Tensor:
    """1 where 2x2 max pooling takes its value from, else 0; shape of `a`."""
    _, indices = functional.max_pool2d(a, 2, return_indices=True)
    flat = torch.zeros_like(a, memory_format=torch.contiguous_format).flatten(2)
    return flat.scatter_(2, indices.flatten(2), 1.0).reshape(a.shape)
