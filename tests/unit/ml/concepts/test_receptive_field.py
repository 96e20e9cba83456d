"""Receptive fields: exactly the cells that change a position when they are changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ml.concepts.receptive_field import Field, frames_per_column, layer_shape, receptive_field
from ml.model import Model
from ml.networks.blocks import frozen_copy
from ml.networks.registry import build_network
from ml.relevance.trace import trace
from tests.unit.ml.relevance.small import SHAPE, small_model


def every_cell_counts(kind: str) -> Model:
    """A small model of positive weights, in which no cell is cancelled or cut off by a ReLU."""
    model = small_model(kind)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.abs_().add_(0.01)
    return model


def output_of(model: Model, layer: str, window: torch.Tensor) -> torch.Tensor:
    """What a layer gives for a window, `(n_channels, height, width)`."""
    _, output = trace(model.network, window[None, None], layer)
    return output[0]


def seen(model: Model, layer: str, position: tuple[int, int]) -> Field:
    """The field of a position, by trying every row and every column."""
    window = torch.rand(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    value = output_of(model, layer, window)[:, position[0], position[1]]
    ends = []
    for axis in (0, 1):
        heard = []
        for cell in range(SHAPE[axis]):
            changed = window.clone()
            changed.select(axis, cell).add_(10.0)  # loud enough to win every pooling
            heard.append(bool((output_of(model, layer, changed)[:, position[0], position[1]] != value).any()))
        cells = np.flatnonzero(heard)
        assert np.all(np.diff(cells) == 1)
        ends.append((int(cells[0]), int(cells[-1]) + 1))
    return Field(*ends[0], *ends[1])


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        *(("default", f"features.conv{index}") for index in (1, 2, 3, 4, 5)),
        ("image", "features.conv1"),
        ("image", "features.conv2"),
    ],
)
def test_fields_are_what_changes_a_position(kind: str, layer: str) -> None:
    model = every_cell_counts(kind)
    n_rows, n_columns = layer_shape(model.network, layer, SHAPE)
    for position in {(0, 0), (n_rows // 2, n_columns // 2), (n_rows - 1, n_columns - 1), (0, n_columns - 1)}:
        expected = seen(model, layer, position)
        assert receptive_field(model.network, layer, position, SHAPE) == expected


def test_the_shape_of_a_layer_is_that_of_its_output() -> None:
    model = small_model("default")
    window = torch.zeros(SHAPE, dtype=torch.float64)
    for layer in ("features.conv1", "features.conv4", "features.conv5"):
        assert layer_shape(model.network, layer, SHAPE) == output_of(model, layer, window).shape[1:]


def test_columns_of_the_default_network_are_sixteen_frames_apart_and_see_half_a_second() -> None:
    network = frozen_copy(build_network("default", 12, 128))
    assert frames_per_column(network, "features.conv5") == 16
    assert frames_per_column(network, "features.conv4") == 8
    fields = [receptive_field(network, "features.conv5", (0, column), (128, 431)) for column in (10, 11)]
    assert fields[1].first_frame - fields[0].first_frame == 16
    assert (fields[0].first_band, fields[0].end_band) == (0, 128)
    assert fields[0].end_frame - fields[0].first_frame == 47


def test_an_image_has_no_whole_number_of_frames() -> None:
    assert frames_per_column(small_model("image").network, "features.conv1") is None


def test_what_is_not_known_is_refused() -> None:
    network = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 3))
    with pytest.raises(TypeError, match="AvgPool2d"):
        receptive_field(network, "1", (0, 0), SHAPE)
    with pytest.raises(KeyError, match="conv9"):
        receptive_field(small_model("default").network, "features.conv9", (0, 0), SHAPE)
