"""Relevance at a layer, position by position, and its maps from there: for who asks what a concept is used for.

`ml.relevance.engine` gives concepts summed over positions and whole maps; here both are resolved. By the direct
engine alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ml.model import Model
from ml.relevance.direct_engine import Window
from ml.relevance.engine import check_layer, choose_engine
from ml.relevance.methods import Method
from ml.relevance.target import Target

_BATCH_MAPS = 6  # maps carried down at once: what lies between two convolutions then stays in the cache


@dataclass(frozen=True)
class Position:
    """One value of a layer's output."""

    channel: int
    row: int
    column: int


@dataclass(frozen=True)
class LayerRelevance:
    """One window's relevance at a layer.

    Attributes
    ----------
    relevance : ndarray, shape (n_targets, n_channels, height, width)
        Signed, of every value of the layer's output.
    """

    relevance: NDArray[np.floating]
    _model: Model
    _window: Window

    @staticmethod
    def of(
        model: Model, window: NDArray[np.floating], targets: Sequence[Target], method: Method, layer: str
    ) -> LayerRelevance:
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
            As for `ml.relevance.engine.check_layer`.

        Returns
        -------
        LayerRelevance

        Raises
        ------
        UnknownEngineError
            When the direct engine does not cover the network.
        UnknownLayerError
        """
        choose_engine(model, "direct")
        check_layer(model, layer)
        data = torch.from_numpy(window)[None, None].to(model.device, memory_format=torch.channels_last)
        with model.lock, torch.inference_mode():
            explained = Window.of(model.network, data, targets, method, layer)
        return LayerRelevance(explained.at_concepts.cpu().numpy(), model, explained)

    def maps(self, positions: Sequence[Position]) -> NDArray[np.floating]:
        """Where in the log-mel the relevance of single values comes from.

        Parameters
        ----------
        positions : sequence of Position

        Returns
        -------
        ndarray, shape (n_positions, n_mels, n_frames)
            For each, what of its relevance, summed over targets, arrives at every cell; zero outside its
            receptive field. The maps of all positions of a layer add up to the map of all targets.
        """
        together = self._window.at_concepts.sum(dim=0)
        found = [np.zeros((0, *self._window_shape()), dtype=self.relevance.dtype)]
        with self._model.lock, torch.inference_mode():
            for first in range(0, len(positions), _BATCH_MAPS):
                batch = positions[first : first + _BATCH_MAPS]
                starts = together.new_zeros((len(batch), *together.shape))
                for start, at in zip(starts, batch, strict=True):
                    start[at.channel, at.row, at.column] = together[at.channel, at.row, at.column]
                found.append(self._window.to_log_mel(self._window.below.descend(starts)).cpu().numpy())
        return np.concatenate(found)

    def _window_shape(self) -> tuple[int, int]:
        entered = self._window.image_of if self._window.image_of is not None else self._window.below.factors
        return entered.shape[2], entered.shape[3]
