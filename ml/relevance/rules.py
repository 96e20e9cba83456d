"""The rules of `ml.relevance.methods` at one convolution and one input of it, ``a >= 0``.

Every rule is linear in the relevance `R` of the convolution's output, and has the form

    ``R_j = sum_g f_gj sum_t sum_k W_gtjk c_tk R_k``

with *terms* t (two for alpha-beta, else one) and *groups* g (two for z^B, else one). Quotients ``c_tk`` and
factors ``f_gj`` depend on the input alone, so they are computed once for all maps:

===========  ==============================  =====================  ===========================
rule         W                               c                      f
===========  ==============================  =====================  ===========================
epsilon      ``w``                           ``1 / z``              ``a``
gamma        ``w + gamma w^+``               ``1 / z``              ``a``
alpha-beta   ``w^+``, ``w^-``                ``alpha / z^+``,       ``a``
                                             ``-beta / z^-``
flat         ``1``                           ``1 / n``              ``1``
z^B          ``w``; ``-l w^+ - h w^-``       ``1 / z``              ``a``; ``1``
===========  ==============================  =====================  ===========================

Tensors are `(maps, channels, height, width)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.relevance.methods import EPSILON, AlphaBeta, Box, Epsilon, Flat, Gamma, Rule


@dataclass(frozen=True)
class Terms:
    """A rule at one convolution and one input.

    Attributes
    ----------
    weights : Tensor, shape (n_terms * n_out, n_groups * n_in, kernel_height, kernel_width)
    quotients : Tensor, shape (n_terms, n_out, height, width)
        On the grid of the convolution's output.
    factors : Tensor, shape (n_groups, n_in, height, width)
        On the grid of its input.
    """

    weights: Tensor
    quotients: Tensor
    factors: Tensor


def terms_of(rule: Rule, convolution: nn.Conv2d, a: Tensor) -> Terms:
    """What a rule makes of a convolution and what entered it.

    Parameters
    ----------
    rule : Rule
    convolution : nn.Conv2d
        Without groups, padded with zeros.
    a : Tensor, shape (1, n_in, height, width)
        Not negative; for `Box` within its bounds.

    Returns
    -------
    Terms
    """
    weight = convolution.weight
    bias = convolution.bias if convolution.bias is not None else torch.zeros_like(weight[:, 0, 0, 0])
    where: Any = (convolution.stride, convolution.padding, convolution.dilation)
    match rule:
        case Epsilon():
            return _shared_by_input([weight], [1.0 / stabilized(_z(a, weight, bias, where))], a)
        case Gamma(gamma):
            raised = weight + gamma * weight.clamp(min=0)
            raised_bias = bias + gamma * bias.clamp(min=0)
            return _shared_by_input([raised], [1.0 / stabilized(_z(a, raised, raised_bias, where))], a)
        case AlphaBeta(alpha, beta):
            excites, inhibits = weight.clamp(min=0), weight.clamp(max=0)
            z_plus = _z(a, excites, bias.clamp(min=0), where)
            if beta == 0.0:
                return _shared_by_input([excites], [alpha / stabilized(z_plus)], a)
            z_minus = _z(a, inhibits, bias.clamp(max=0), where)
            quotients = [alpha / stabilized(z_plus), -beta / stabilized(z_minus)]
            return _shared_by_input([excites, inhibits], quotients, a)
        case Flat():
            ones = torch.ones_like(weight)
            n_seen = _z(torch.ones_like(a), ones, None, where)
            return Terms(ones, 1.0 / stabilized(n_seen), torch.ones_like(a))
        case Box(low, high):
            bounds = -low * weight.clamp(min=0) - high * weight.clamp(max=0)
            z = _z(a, weight, None, where) + _z(torch.ones_like(a), bounds, None, where)
            factors = torch.cat([a, torch.ones_like(a)])
            return Terms(torch.cat([weight, bounds], dim=1), 1.0 / stabilized(z), factors)


def stabilized(z: Tensor) -> Tensor:
    """``z + epsilon sign(z)``, with sign(0) = 1."""
    return z + torch.where(z >= 0, EPSILON, -EPSILON)


def _z(a: Tensor, weight: Tensor, bias: Tensor | None, where: Any) -> Tensor:
    return functional.conv2d(a, weight, bias, *where)


def _shared_by_input(weights: list[Tensor], quotients: list[Tensor], a: Tensor) -> Terms:
    return Terms(torch.cat(weights), torch.cat(quotients), a)
