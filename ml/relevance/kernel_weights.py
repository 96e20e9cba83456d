"""A convolution's weights by a rule, as the descent's kernel takes them; kept: no window changes them."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from ml.relevance import kernel
from ml.relevance.arrays import Array, folded, lined_up, padded, up_to
from ml.relevance.methods import EPSILON, Rule
from ml.relevance.rules import shares_of


@dataclass(frozen=True)
class KernelWeights:
    """Weights and bias of `ml.relevance.rules.Shares`, over inputs that are folded by the stride.

    Attributes
    ----------
    excites, inhibits : ndarray, shape (n_out * padded patch,)
        The positive and the negative weights.
    bias : ndarray, shape (n_out,)
    split : (alpha, beta, whether denominators are split)
    epsilon : number
    n_groups : int
    extent : (int, int)
        Rows and columns of the kernel over folded inputs.
    run : int
        Numbers in a row of a patch, padded.
    """

    excites: Array
    inhibits: Array
    bias: Array
    split: tuple[Any, Any, bool]
    epsilon: Any
    n_groups: int
    extent: tuple[int, int]
    run: int

    @staticmethod
    def of(rule: Rule, convolution: nn.Conv2d) -> KernelWeights:
        shares = shares_of(rule, convolution)
        down, right = convolution.stride
        weights = shares.weights.permute(0, 2, 3, 1).cpu().numpy()
        rows, columns = -(-weights.shape[1] // down), -(-weights.shape[2] // right)
        whole = padded(weights, (len(weights), rows * down, columns * right, weights.shape[3]))
        lines = folded(whole, (down, right)).reshape(len(weights), rows, -1)
        run = up_to(lines.shape[2], kernel.ROW_LANES)
        patches = padded(lines, (len(weights), rows, run)).reshape(len(weights), -1)
        whole_lanes = padded(patches, (len(weights), up_to(patches.shape[1], kernel.LANES)))
        number = weights.dtype.type
        alpha, beta = (1.0, 0.0) if shares.split is None else (shares.split.alpha, shares.split.beta)
        return KernelWeights(
            excites=lined_up(np.maximum(whole_lanes, 0)),
            inhibits=lined_up(np.minimum(whole_lanes, 0)),
            bias=shares.bias.cpu().numpy(),
            split=(number(alpha), number(beta), shares.split is not None),
            epsilon=number(EPSILON),
            n_groups=shares.weights.shape[1] // convolution.in_channels,
            extent=(rows, columns),
            run=run,
        )


_Key = tuple[object, ...]
_kept: weakref.WeakKeyDictionary[nn.Conv2d, dict[Rule, tuple[_Key, KernelWeights]]] = (
    weakref.WeakKeyDictionary()
)


def kernel_weights(rule: Rule, convolution: nn.Conv2d) -> KernelWeights:
    """Those of `KernelWeights.of`, kept while the convolution lives and its parameters stay as they are.

    PyTorch counts changes of a parameter, but not those through its `.data`, nor any of parameters that were
    made in inference mode: the former are not noticed, the latter not kept.

    Parameters
    ----------
    rule : Rule
    convolution : nn.Conv2d
    """
    parameters = [each for each in (convolution.weight, convolution.bias) if each is not None]
    if any(each.is_inference() for each in parameters):
        return KernelWeights.of(rule, convolution)
    key = tuple((each.data_ptr(), each._version, each.dtype) for each in parameters)
    kept = _kept.setdefault(convolution, {})
    if rule not in kept or kept[rule][0] != key:
        kept[rule] = (key, KernelWeights.of(rule, convolution))
    return kept[rule][1]
