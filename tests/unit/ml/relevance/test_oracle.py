"""The direct engine gives zennit-crp's maps, whatever the network, the input, method, target and layer."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ml.relevance import direct_engine
from ml.relevance.descent import Descent
from ml.relevance.direct_engine import covers
from ml.relevance.engine import concept_layers, explain_targets
from ml.relevance.methods import METHODS
from ml.relevance.sparse_descent import SparseDescent
from ml.relevance.target import Target
from tests.unit.ml.relevance.small import N_LABELS, ORACLE, TARGETS, model_of

HEIGHT, WIDTH = 25, 31
SMALLEST = 1e-9  # relevance below this is rounding of values around 1


@st.composite
def convolutional_networks(draw: st.DrawFn) -> nn.Module:
    """Random networks of the kind that the direct engine covers."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    n_in, smaller_side = 1, min(HEIGHT, WIDTH)
    for index in range(1, draw(st.integers(1, 3)) + 1):
        n_out = draw(st.integers(1, 5))
        size = draw(st.sampled_from([size for size in (1, 3, 5) if size <= smaller_side]))
        layers[f"conv{index}"] = nn.Conv2d(
            n_in,
            n_out,
            size,
            stride=draw(st.sampled_from([1, 2])),
            padding=draw(st.integers(0, size // 2)),
            bias=draw(st.booleans()),
        )
        layers[f"relu{index}"] = nn.ReLU()
        smaller_side = min(nn.Sequential(layers)(torch.zeros(1, 1, HEIGHT, WIDTH)).shape[2:])
        if smaller_side >= 10 and draw(st.booleans()):
            layers[f"pool{index}"] = nn.MaxPool2d(2)
            smaller_side //= 2
        n_in = n_out
    features = nn.Sequential(layers)
    flat = features(torch.zeros(1, 1, HEIGHT, WIDTH)).numel()
    return nn.Sequential(OrderedDict(features=features, flatten=nn.Flatten(), head=nn.Linear(flat, N_LABELS)))


@given(
    network=convolutional_networks(),
    seed=st.integers(0, 2**31),
    method=st.sampled_from(list(METHODS.values())),
    targets=st.lists(st.sampled_from(TARGETS), min_size=1, max_size=2, unique=True),
    way_down=st.sampled_from([SparseDescent, Descent]),
    data=st.data(),
)
@settings(max_examples=120, deadline=None)
def test_the_direct_engine_gives_zennits_maps_on_any_network(
    *,
    network: nn.Module,
    seed: int,
    method: object,
    targets: list[Target],
    way_down: type[SparseDescent | Descent],
    data: st.DataObject,
) -> None:
    """With the way down of processors, and with that of other devices."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=tuple(parameter.shape))))
    last = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)][-1]
    model = model_of(network, last, torch.float64)
    assert covers(model.network)
    layer = data.draw(st.sampled_from(concept_layers(model)))
    inputs = np.where(rng.random((2, HEIGHT, WIDTH)) < 0.3, 0.0, rng.random((2, HEIGHT, WIDTH)))
    how = {"method": method, "layer": layer}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct_engine, "SparseDescent", way_down)
        direct = explain_targets(model, inputs, targets, 2, engine="direct", **how)  # type: ignore[arg-type]
    oracle = explain_targets(model, inputs, targets, 2, engine="zennit", **how)  # type: ignore[arg-type]
    for found, expected in zip(direct, oracle, strict=True):
        scale = max(float(np.abs(expected.concept_maps).max()), SMALLEST)
        assert found.strongest == expected.strongest
        assert np.abs(found.maps - expected.maps).max() < ORACLE * scale
        assert np.abs(found.concept_maps - expected.concept_maps).max() < ORACLE * scale
        assert np.abs(found.channels - expected.channels).max() < ORACLE * max(
            float(np.abs(expected.channels).max()), SMALLEST
        )
        np.testing.assert_allclose(found.logits, expected.logits)
