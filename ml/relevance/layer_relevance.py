"""Relevance at a layer, value by value, and maps of single values: what a concept is used for, and when.

`ml.relevance.engine` gives concepts summed over positions, and their whole maps; here both are resolved. By
the direct engine alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.model import Model
from ml.relevance.direct_engine import Window
from ml.relevance.engine import check_layer, choose_engine
from ml.relevance.methods import Method
from ml.relevance.target import Target
from ml.relevance.trace import trace


@dataclass(frozen=True)
class Start:
    """Relevance of one value of a layer's output: a channel, at a row and a column."""

    channel: int
    row: int
    column: int
    relevance: float


def layer_relevance(
    model: Model, window: NDArray[np.floating], targets: Sequence[Target], method: Method, layer: str
) -> NDArray[np.floating]:
    """Explain targets in a window down to a layer.

    Parameters
    ----------
    model : Model
    window : ndarray of float32, shape (n_mels, n_frames)
        Scaled log-mel, 0..1. (A network in float64 takes and gives float64.)
    targets : sequence of Target
        One at least.
    method : Method
    layer : str
        One of `ml.relevance.engine.concept_layers`.

    Returns
    -------
    ndarray, shape (n_targets, n_channels, height, width)
        Signed relevance of every value of the layer's output.

    Raises
    ------
    UnknownEngineError
        When the direct engine does not cover the network.
    UnknownLayerError
    """
    data = _checked(model, window, layer)
    with model.lock, torch.inference_mode():
        found: NDArray[np.floating] = (
            Window.of(model.network, data, targets, method, layer).at_concepts.cpu().numpy()
        )
    return found


def maps_of_values(
    model: Model, window: NDArray[np.floating], starts: Sequence[Start], method: Method, layer: str
) -> NDArray[np.floating]:
    """Carry relevance of single values of a layer down to the log-mel.

    Parameters
    ----------
    model, window, method, layer
        As for `layer_relevance`.
    starts : sequence of Start

    Returns
    -------
    ndarray, shape (n_starts, n_mels, n_frames)
        For each, what arrives at every cell; zero outside the receptive field of its position. Linear in
        `relevance`: with that of a target, the maps of all values of a layer add up to the target's map.

    Raises
    ------
    UnknownEngineError, UnknownLayerError
    """
    data = _checked(model, window, layer)
    maps = [np.zeros((0, *window.shape), dtype=window.dtype)]
    with model.lock, torch.inference_mode():
        steps, output = trace(model.network, data, layer)  # output (1, n_channels, height, width)
        below = Window((), output[:0], tuple(steps), method)
        most = below.below.most_maps
        for first in range(0, len(starts), most):
            batch = starts[first : first + most]
            alone = output.new_zeros((len(batch), *output.shape[1:]))
            for relevance, start in zip(alone, batch, strict=True):
                relevance[start.channel, start.row, start.column] = start.relevance
            maps.append(below.to_log_mel(below.below.descend(alone)).cpu().numpy())
    return np.concatenate(maps)


def _checked(model: Model, window: NDArray[np.floating], layer: str) -> Tensor:
    """A window as the network takes it, `(1, 1, n_mels, n_frames)`."""
    choose_engine(model, "direct")
    check_layer(model, layer)
    return torch.from_numpy(window)[None, None].to(model.device, memory_format=torch.channels_last)
