"""Pinpointing: maps of single values, cut to their fields, are those of the whole window, and add up."""

from __future__ import annotations

import numpy as np
import pytest

from ml.concepts.pinpoint import field_maps, moment_frame
from ml.concepts.receptive_field import Field
from ml.model import Model
from ml.relevance.engine import concept_layers, explain_targets
from ml.relevance.layer_relevance import Start, layer_relevance, maps_of_values
from ml.relevance.methods import METHODS, method_named
from ml.relevance.target import Target
from tests.unit.ml.relevance.small import FLOAT64, deviation, small_model

LONG = (16, 199)  # several blocks, no multiple of any stride
TARGETS = (Target(0), Target(2))


@pytest.fixture(scope="module", params=["default", "image"])
def model(request: pytest.FixtureRequest) -> Model:
    return small_model(request.param)


def window_of(model: Model) -> np.ndarray:
    width = 32 if "to_image" in dict(model.network.named_children()) else LONG[1]
    window: np.ndarray = np.random.default_rng(4).random((LONG[0], width))
    return window


def every_start(relevance: np.ndarray, stride: int) -> list[Start]:
    """Every so many values of a layer, with their relevance."""
    together = relevance.sum(axis=0)
    places = list(np.ndindex(*together.shape))[::stride]
    return [Start(place[0], place[1], place[2], float(together[place])) for place in places]


@pytest.mark.parametrize("method", METHODS)
def test_cut_maps_are_those_of_the_whole_window(model: Model, method: str) -> None:
    window, rules = window_of(model), method_named(method)
    for layer in concept_layers(model):  # also those whose fields are too small for the layers above
        starts = every_start(layer_relevance(model, window, TARGETS, rules, layer), 401)
        whole = maps_of_values(model, window, starts, rules, layer)
        scale = np.abs(whole).max()
        for (field, relevance), expected in zip(
            field_maps(model, window, starts, rules, layer), whole, strict=True
        ):
            inside = np.zeros_like(expected)
            inside[field.bands, field.frames] = relevance
            assert np.abs(inside - expected).max() <= FLOAT64 * scale


def test_values_add_up_to_the_map(model: Model) -> None:
    window = np.random.default_rng(4).random((16, 32))
    rules = method_named()
    layer = concept_layers(model)[-1]
    starts = every_start(layer_relevance(model, window, TARGETS, rules, layer), 1)
    together = maps_of_values(model, window, starts, rules, layer).sum(axis=0)
    explained = explain_targets(model, window[None], TARGETS, method=rules, engine="direct")
    assert deviation(together, sum(evidence.maps[0] for evidence in explained)) <= FLOAT64


def test_values_add_up_to_what_engines_say_of_channels(model: Model) -> None:
    window = np.random.default_rng(6).random((16, 32))
    for layer in concept_layers(model):
        found = layer_relevance(model, window, TARGETS, method_named(), layer).sum(axis=(2, 3))
        for engine in ("direct", "zennit"):
            explained = explain_targets(model, window[None], TARGETS, layer=layer, engine=engine)
            assert deviation(found, np.stack([evidence.channels[0] for evidence in explained])) <= FLOAT64


def test_nothing_asked_is_nothing(model: Model) -> None:
    window = window_of(model)
    assert field_maps(model, window, [], method_named(), concept_layers(model)[-1]) == ()


@pytest.mark.parametrize(
    ("relevance", "frame"),
    [
        ([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]], 12),
        ([[0.0, 3.0, 0.0], [0.0, -9.0, 2.0]], 11),
        ([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], 10),
        ([[-1.0, -2.0, 0.0], [0.0, 0.0, 0.0]], 11),
    ],
)
def test_the_moment_is_when_most_speaks_for_it(relevance: list[list[float]], frame: int) -> None:
    assert moment_frame(Field(0, 2, 10, 13), np.array(relevance, dtype=np.float32)) == frame
