"""The rules of relevance again, slower and less complicated: at one layer, for inputs of any sign.

Each takes a layer, what entered it `a` and the relevance of what left it, and writes its formula out with
plain transposed convolutions. `BY_METHOD` says anew which method means which: a rule for convolutions and one
for the first.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Rule = Callable[[nn.Module, Tensor, Tensor], Tensor]

STABILIZER = 1e-6  # zennit adds it to every denominator


def stabilized(z: Tensor) -> Tensor:
    """``z + eps * sign(z)`` with sign(0) = 1."""
    return z + STABILIZER * torch.where(z >= 0, 1.0, -1.0).to(z)


def epsilon(module: nn.Module, a: Tensor, relevance: Tensor) -> Tensor:
    """``R_j = sum_k a_j w_jk / (z_k + eps) R_k``."""
    weight, bias = _parameters(module)
    z = _forward(module, a, weight, bias)
    return a * _backward(module, a, relevance / stabilized(z), weight)


def gamma(share: float) -> Rule:
    """``R_j = sum_k a_j (w_jk + share w_jk^+) / z_k R_k``, the bias raised alike."""

    def rule(module: nn.Module, a: Tensor, relevance: Tensor) -> Tensor:
        weight, bias = _parameters(module)
        weight = torch.where(weight > 0, (1.0 + share) * weight, weight)
        bias = torch.where(bias > 0, (1.0 + share) * bias, bias)
        z = _forward(module, a, weight, bias)
        return a * _backward(module, a, relevance / stabilized(z), weight)

    return rule


def alpha_beta(alpha: float, beta: float) -> Rule:
    """``R_j = sum_k (alpha (a_j w_jk)^+ / z_k^+ - beta (a_j w_jk)^- / z_k^-) R_k``, biases in the
    denominators.
    """

    def rule(module: nn.Module, a: Tensor, relevance: Tensor) -> Tensor:
        weight, bias = _parameters(module)
        a_pos, a_neg = a.clamp(min=0), a.clamp(max=0)
        w_pos, w_neg = weight.clamp(min=0), weight.clamp(max=0)
        none = torch.zeros_like(bias)
        z_pos = _forward(module, a_pos, w_pos, bias.clamp(min=0)) + _forward(module, a_neg, w_neg, none)
        z_neg = _forward(module, a_pos, w_neg, bias.clamp(max=0)) + _forward(module, a_neg, w_pos, none)
        up, down = relevance / stabilized(z_pos), relevance / stabilized(z_neg)
        for_ = a_pos * _backward(module, a, up, w_pos) + a_neg * _backward(module, a, up, w_neg)
        against = a_pos * _backward(module, a, down, w_neg) + a_neg * _backward(module, a, down, w_pos)
        return alpha * for_ - beta * against

    return rule


def flat(module: nn.Module, a: Tensor, relevance: Tensor) -> Tensor:
    """``R_j = sum_k R_k / n_k`` over the `n_k` inputs that output k sees."""
    weight, bias = _parameters(module)
    ones = torch.ones_like(weight)
    n_seen = _forward(module, torch.ones_like(a), ones, torch.zeros_like(bias))
    return _backward(module, a, relevance / stabilized(n_seen), ones)


def box(low: float, high: float) -> Rule:
    """``R_j = sum_k (a_j w_jk - low w_jk^+ - high w_jk^-) / z_k R_k``, no bias."""

    def rule(module: nn.Module, a: Tensor, relevance: Tensor) -> Tensor:
        weight, bias = _parameters(module)
        lows, highs, none = torch.full_like(a, low), torch.full_like(a, high), torch.zeros_like(bias)
        w_pos, w_neg = weight.clamp(min=0), weight.clamp(max=0)
        z = _forward(module, a, weight, none)
        z = z - _forward(module, lows, w_pos, none) - _forward(module, highs, w_neg, none)
        message = relevance / stabilized(z)
        spread = a * _backward(module, a, message, weight) - lows * _backward(module, a, message, w_pos)
        return spread - highs * _backward(module, a, message, w_neg)

    return rule


BY_METHOD: dict[str, tuple[Rule, Rule]] = {
    "epsilon": (epsilon, epsilon),
    "epsilon-plus": (alpha_beta(1, 0), alpha_beta(1, 0)),
    "epsilon-plus-flat": (alpha_beta(1, 0), flat),
    "epsilon-plus-box": (alpha_beta(1, 0), box(0, 1)),
    "alpha2-beta1": (alpha_beta(2, 1), alpha_beta(2, 1)),
    "alpha2-beta1-flat": (alpha_beta(2, 1), flat),
    "alpha2-beta1-box": (alpha_beta(2, 1), box(0, 1)),
    "gamma": (gamma(0.25), gamma(0.25)),
    "gamma-box": (gamma(0.25), box(0, 1)),
}


def _parameters(module: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(module, (nn.Linear, nn.Conv2d))
    bias = module.bias if module.bias is not None else torch.zeros_like(module.weight.flatten(1)[:, 0])
    return module.weight, bias


def _forward(module: nn.Module, a: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if isinstance(module, nn.Linear):
        return nn.functional.linear(a, weight, bias)
    assert isinstance(module, nn.Conv2d)
    return nn.functional.conv2d(a, weight, bias, module.stride, module.padding)


def _backward(module: nn.Module, a: Tensor, message: Tensor, weight: Tensor) -> Tensor:
    """``sum_k w_jk m_k`` for every input j."""
    if isinstance(module, nn.Linear):
        return message @ weight
    assert isinstance(module, nn.Conv2d)
    height, width = module.stride  # what the strides left over at the far edges is padded back
    padding = (int(module.padding[0]), int(module.padding[1]))
    missing = (
        (a.shape[2] + 2 * padding[0] - module.kernel_size[0]) % height,
        (a.shape[3] + 2 * padding[1] - module.kernel_size[1]) % width,
    )
    return nn.functional.conv_transpose2d(message, weight, None, (height, width), padding, missing)
