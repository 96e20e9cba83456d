"""Pinpointing: at which moment of its receptive field a concept's relevance arrives.

A position of a deep layer sees half a second, and what it answers to may be a note that begins anywhere in
it. Its relevance is therefore carried down to the log-mel, and the moment is the frame with the most positive
relevance over all bands.

A single value needs no more than its receptive field: the window is cut to that, on the grid of the layer's
stride, so that strides and poolings fall as they did. What padding adds at the cut lies outside the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml.concepts.receptive_field import Field, frames_per_column, receptive_field
from ml.model import Model
from ml.relevance.layer_relevance import Start, maps_of_values
from ml.relevance.methods import Method

_BLOCK_FRAMES = 48  # fields that begin in the same so many frames share a cut


def field_maps(
    model: Model, window: NDArray[np.float32], starts: Sequence[Start], method: Method, layer: str
) -> tuple[tuple[Field, NDArray[np.float32]], ...]:
    """Where in its receptive field the relevance of each of some values arrives.

    Parameters
    ----------
    model : Model
    window : ndarray of float32, shape (n_mels, n_frames)
        Scaled log-mel, 0..1.
    starts : sequence of Start
        Values of a layer, with their relevance.
    method : Method
    layer : str

    Returns
    -------
    tuple of (Field, ndarray of float32, shape (n_bands, n_frames) of the field)
        In the order of `starts`.
    """
    shape = (window.shape[0], window.shape[1])
    fields = [receptive_field(model.network, layer, (start.row, start.column), shape) for start in starts]
    step = frames_per_column(model.network, layer)
    found: dict[int, NDArray[np.float32]] = {}
    for places in _blocks(fields, whole=step is None):
        first, end = 0, shape[1]
        if step is not None:
            first = min(fields[place].first_frame for place in places) // step * step
            end = min(-(-max(fields[place].end_frame for place in places) // step) * step, end)
        moved = [
            replace(starts[place], column=starts[place].column - (first // step if step else 0))
            for place in places
        ]
        maps = maps_of_values(model, np.ascontiguousarray(window[:, first:end]), moved, method, layer)
        for place, relevance in zip(places, maps, strict=True):
            field = fields[place]
            found[place] = relevance[field.bands, field.first_frame - first : field.end_frame - first]
    return tuple((field, found[place]) for place, field in enumerate(fields))


def moment_frame(field: Field, relevance: NDArray[np.float32]) -> int:
    """The frame at which most positive relevance arrives.

    Parameters
    ----------
    field : Field
    relevance : ndarray, shape (n_bands, n_frames) of the field

    Returns
    -------
    int
        A frame of the window, the first where several are equal; the middle of the field where nothing
        positive arrives.
    """
    arriving = np.maximum(relevance, 0.0).sum(axis=0, dtype=np.float64)
    if not arriving.any():
        return (field.first_frame + field.end_frame - 1) // 2
    return field.first_frame + int(arriving.argmax())


def _blocks(fields: Sequence[Field], *, whole: bool) -> Iterator[list[int]]:
    """Places of fields that are cut out together."""
    blocks: dict[int, list[int]] = {}
    for place, field in enumerate(fields):
        blocks.setdefault(0 if whole else field.first_frame // _BLOCK_FRAMES, []).append(place)
    yield from blocks.values()
