"""The rules of `ml.relevance.methods` at one convolution and one input of it, ``a >= 0``.

Every rule is linear in the relevance `R` of the convolution's output and shares it by *numerators*
``n_jk = x_j w_jk``, made from the input and the weights:

===========  ==============================  ==============  =============================================
rule         weights w                       inputs x        R_j
===========  ==============================  ==============  =============================================
epsilon      ``w``                           ``a``           ``sum_k n_jk / z_k R_k``
gamma        ``w + gamma w^+``               ``a``           the same
flat         ``1``                           ``1``           the same
z^B          ``w``; ``-l w^+ - h w^-``       ``a``; ``1``    the same, added up over both groups
alpha-beta   ``w``                           ``a``           ``sum_k (alpha n_jk^+ / z_k^+
                                                             + (-beta) n_jk^- / z_k^-) R_k``
===========  ==============================  ==============  =============================================

where ``z_k = sum_j n_jk + b_k``, and ``z_k^+``, ``z_k^-`` sum the positive and the negative numerators and
bias (Bach et al. 2015, eqs. 58 and 60; Montavon et al. 2019, Table 10.1). Flat and z^B have no bias.

`Terms` is the same in the shape of convolutions: ``R_j = sum_g f_gj sum_t sum_k W_gtjk c_tk R_k`` with terms
t (two for alpha-beta, else one), groups g (two for z^B, else one), quotients ``c_tk`` and factors ``f_gj``.

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
class Shares:
    """What a rule makes of a convolution's weights: how its numerators and denominators come about.

    Attributes
    ----------
    weights : Tensor, shape (n_out, n_groups * n_in, kernel_height, kernel_width)
    bias : Tensor, shape (n_out,)
        Of the denominators; zeros where the rule takes none.
    split : AlphaBeta, optional
        By what positive and negative numerators count when they have denominators of their own.
    """

    weights: Tensor
    bias: Tensor
    split: AlphaBeta | None = None


def shares_of(rule: Rule, convolution: nn.Conv2d) -> Shares:
    """What a rule makes of a convolution's weights.

    Parameters
    ----------
    rule : Rule
    convolution : nn.Conv2d
        Without groups, padded with zeros.
    """
    weight = convolution.weight
    none = torch.zeros_like(weight[:, 0, 0, 0])
    bias = convolution.bias if convolution.bias is not None else none
    match rule:
        case Epsilon():
            return Shares(weight, bias)
        case Gamma(gamma):
            return Shares(weight + gamma * weight.clamp(min=0), bias + gamma * bias.clamp(min=0))
        case AlphaBeta():
            return Shares(weight, bias, rule)
        case Flat():
            return Shares(torch.ones_like(weight), none)
        case Box(low, high):
            bounds = -low * weight.clamp(min=0) - high * weight.clamp(max=0)
            return Shares(torch.cat([weight, bounds], dim=1), none)


def inputs_of(rule: Rule, a: Tensor) -> Tensor:
    """What a rule multiplies the weights of `shares_of` with.

    Parameters
    ----------
    rule : Rule
    a : Tensor, shape (1, n_in, height, width)
        What entered the convolution: not negative; for `Box` within its bounds.

    Returns
    -------
    Tensor, shape (1, n_groups * n_in, height, width)
    """
    match rule:
        case Flat():
            return torch.ones_like(a)
        case Box():
            return torch.cat([a, torch.ones_like(a)], dim=1)
        case _:
            return a


@dataclass(frozen=True)
class Terms:
    """A rule at one convolution and one input, as convolutions compute it.

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
    """A rule at a convolution and what entered it.

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
    shares, inputs = shares_of(rule, convolution), inputs_of(rule, a)
    weights, bias = shares.weights, shares.bias
    where: Any = (convolution.stride, convolution.padding, convolution.dilation)
    factors = inputs.reshape(-1, *a.shape[1:])
    if shares.split is None:
        return Terms(weights, 1.0 / stabilized(functional.conv2d(inputs, weights, bias, *where)), factors)
    alpha, beta = shares.split.alpha, shares.split.beta
    excites, inhibits = weights.clamp(min=0), weights.clamp(max=0)
    z_plus = functional.conv2d(inputs, excites, bias.clamp(min=0), *where)
    if beta == 0.0:
        return Terms(excites, alpha / stabilized(z_plus), factors)
    z_minus = functional.conv2d(inputs, inhibits, bias.clamp(max=0), *where)
    quotients = [alpha / stabilized(z_plus), -beta / stabilized(z_minus)]
    return Terms(torch.cat([excites, inhibits]), torch.cat(quotients), factors)


def stabilized(z: Tensor) -> Tensor:
    """``z + epsilon sign(z)``, with sign(0) = 1."""
    return z + torch.where(z >= 0, EPSILON, -EPSILON)
