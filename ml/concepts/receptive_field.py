"""Receptive fields: which cells of the log-mel a position of a layer sees.

Followed back from the layer to the input, interval by interval: cells ``lo..hi`` of what a convolution or a
pooling (kernel `k`, stride `s`, padding `p`, dilation `d`) gives come from cells ``s lo - p .. s hi - p +
d (k - 1)`` of what it takes (Araujo, Norris and Sim, *Distill*, 2019, eq. 1-4). Fields are cut at the edges
of the log-mel, since padding is not sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ml.networks.blocks import ToImage
from ml.relevance.trace import layers_of, trace

_POINTWISE = (nn.ReLU, nn.Identity, nn.Dropout, nn.BatchNorm2d)


@dataclass(frozen=True)
class Field:
    """Cells of the log-mel: bands and frames from the first up to, not including, the end."""

    first_band: int
    end_band: int
    first_frame: int
    end_frame: int

    @property
    def bands(self) -> slice:
        """Its rows of a log-mel `(n_mels, n_frames)`."""
        return slice(self.first_band, self.end_band)

    @property
    def frames(self) -> slice:
        """Its columns of a log-mel `(n_mels, n_frames)`."""
        return slice(self.first_frame, self.end_frame)


def receptive_field(
    network: nn.Module, layer: str, position: tuple[int, int], shape: tuple[int, int]
) -> Field:
    """What a position of a layer sees.

    Parameters
    ----------
    network : nn.Module
        A sequence of convolutions, poolings and pointwise layers as far as `layer`; an image may be made of
        the input first.
    layer : str
        Name of a convolution.
    position : (int, int)
        Row and column of the layer's output.
    shape : (int, int)
        `n_mels, n_frames` of the log-mel.

    Returns
    -------
    Field

    Raises
    ------
    KeyError
        When the network has no such layer.
    TypeError
        When a layer below is none of those above.
    """
    below = layers_of(network)
    names = [name for name, _ in below]
    if layer not in names:
        raise KeyError(layer)
    ends = []
    for axis in (0, 1):
        interval = (position[axis], position[axis])
        for name, module in reversed(below[: names.index(layer) + 1]):
            interval = _one_layer_back(name, module, interval, axis, shape[axis])
        ends.append((max(interval[0], 0), min(interval[1] + 1, shape[axis])))
    return Field(*ends[0], *ends[1])


def frames_per_column(network: nn.Module, layer: str) -> int | None:
    """How many frames of the log-mel lie between two columns of a layer.

    Parameters
    ----------
    network : nn.Module
    layer : str

    Returns
    -------
    int or None
        The product of the strides; None where an image is made of the log-mel first, whose pixels are no
        whole number of frames.
    """
    layers = layers_of(network)
    names = [name for name, _ in layers]
    step = 1
    for _, module in layers[: names.index(layer) + 1]:
        if isinstance(module, ToImage):
            return None
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            step *= _along(module.stride, 1)
    return step


def layer_shape(network: nn.Module, layer: str, shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a layer's output.

    Parameters
    ----------
    network : nn.Module
    layer : str
    shape : (int, int)
        `n_mels, n_frames` of the log-mel.
    """
    weights = next(network.parameters())
    with torch.inference_mode():
        _, output = trace(network, weights.new_zeros((1, 1, *shape)), layer)
    return output.shape[2], output.shape[3]


def _one_layer_back(
    name: str, module: nn.Module, interval: tuple[int, int], axis: int, n_cells: int
) -> tuple[int, int]:
    """Lowest and highest cell, inclusive, of what enters a layer that an interval of its output sees."""
    low, high = interval
    if isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
        assert not isinstance(module.padding, str)
        kernel, stride, padding, dilation = (
            _along(value, axis)
            for value in (module.kernel_size, module.stride, module.padding, module.dilation)
        )
        return low * stride - padding, high * stride - padding + dilation * (kernel - 1)
    if isinstance(module, ToImage):  # each pixel lies between two cells
        scale = n_cells / module.size
        return math.floor((low + 0.5) * scale - 0.5), math.floor((high + 0.5) * scale - 0.5) + 1
    if isinstance(module, _POINTWISE):
        return low, high
    raise TypeError(f"The receptive field through layer {name!r} ({type(module).__name__}) is not known.")


def _along(value: int | Sequence[int], axis: int) -> int:
    return value if isinstance(value, int) else value[axis]
