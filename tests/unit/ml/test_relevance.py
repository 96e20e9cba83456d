"""Relevance: against a slow reference, against hand-written sums, and by its invariants."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.checkpoint import ModelCard
from ml.melspec import MelConfig
from ml.model import Model
from ml.networks.blocks import ToImage, frozen_copy
from ml.networks.default import DefaultNetwork
from ml.relevance import concept_relevance, instrument_relevance
from tests.reference import lrp

N_LABELS = 3
FLOAT64 = 1e-9  # two float64 computations of the same sums in another order
CONCEPTS_ADD_UP = 1e-5  # what the project promises


class SmallImageNetwork(nn.Module):
    """The reference network's building blocks at a size where slow computations are possible."""

    concept_layer = "features.conv2"

    def __init__(self) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(3, 4, 3),
            norm1=nn.BatchNorm2d(4),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(4, 6, 3),
            norm2=nn.BatchNorm2d(6),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
        )
        self.to_image = ToImage(22, 3)
        self.features = nn.Sequential(layers)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(6 * 4 * 4, N_LABELS)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.flatten(self.features(self.to_image(x)))))
        return logits


def settle_batch_norms(network: nn.Module, seed: int) -> None:
    """Give batch norms the statistics and parameters of a network that was trained."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.1
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
            module.weight.data = torch.rand(module.num_features, generator=generator) + 0.5
            module.bias.data = torch.randn(module.num_features, generator=generator) * 0.1


def model_of(network: nn.Module, concept_layer: str, dtype: torch.dtype = torch.float32) -> Model:
    card = ModelCard(
        id="small",
        network="small",
        labels=("A", "B", "C"),
        thresholds={"A": 0.5, "B": 0.5, "C": 0.5},
        mel={},
        sha256="",
        dataset={},
        training={},
        metrics={},
        sounds=(),
    )
    return Model(card, MelConfig(), frozen_copy(network).to(dtype), concept_layer, torch.device("cpu"))


@pytest.fixture(params=["default", "image"])
def model(request: pytest.FixtureRequest) -> Model:
    torch.manual_seed(11)
    network = DefaultNetwork(N_LABELS, 16) if request.param == "default" else SmallImageNetwork()
    settle_batch_norms(network, 12)
    return model_of(network, network.concept_layer, torch.float64)


@pytest.fixture
def inputs() -> NDArray[np.float64]:
    """Three windows, a third of their cells silent."""
    values = np.random.default_rng(5).random((3, 16, 32))
    return np.where(values < 1 / 3, 0.0, values)


def deviation(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Largest difference over the largest expected magnitude."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("label", range(N_LABELS))
def test_maps_are_those_of_the_slow_reference(model: Model, inputs: NDArray[np.float64], label: int) -> None:
    found = instrument_relevance(model, inputs, label)
    expected, at_concepts = lrp.propagate(
        model.network, torch.from_numpy(inputs)[:, None], label, model.concept_layer
    )
    assert at_concepts is not None
    assert deviation(found.maps, expected[:, 0].numpy()) < FLOAT64
    assert deviation(found.channels, at_concepts.sum(dim=(2, 3)).numpy()) < FLOAT64


def test_concept_maps_are_those_of_the_slow_reference(model: Model, inputs: NDArray[np.float64]) -> None:
    for channels in ([0], [2, 5], [4]):
        found = concept_relevance(model, inputs, 1, channels)
        expected, _ = lrp.propagate(
            model.network, torch.from_numpy(inputs)[:, None], 1, model.concept_layer, channels
        )
        assert np.abs(found - expected[:, 0].numpy()).max() < FLOAT64


def test_slow_reference_is_the_formula_written_out() -> None:
    """One convolution, alpha-beta summed contribution by contribution over a dense matrix."""
    torch.manual_seed(3)
    convolution = nn.Conv2d(2, 3, 3, stride=2, padding=1).double()
    a = torch.randn(1, 2, 6, 5, dtype=torch.float64)
    leaving = torch.randn_like(convolution(a))
    matrix = lrp.dense_matrix(convolution, (2, 6, 5))  # (n_out, n_in)
    assert convolution.bias is not None
    bias = convolution.bias.detach().repeat_interleave(leaving[0, 0].numel()).numpy()
    contributions = matrix * a.flatten().numpy()  # (n_out, n_in)
    expected = np.zeros(a.numel())
    for k, relevance in enumerate(leaving.flatten().numpy()):
        positive, negative = contributions[k].clip(min=0), contributions[k].clip(max=0)
        z_positive = positive.sum() + max(bias[k], 0) + lrp.ZENNIT_STABILIZER
        z_negative = negative.sum() + min(bias[k], 0)
        z_negative += lrp.ZENNIT_STABILIZER if z_negative >= 0 else -lrp.ZENNIT_STABILIZER
        expected += (2 * positive / z_positive - negative / z_negative) * relevance
    found = lrp._alpha2_beta1(convolution, a, leaving)
    assert deviation(found.detach().flatten().numpy(), expected) < FLOAT64


def test_maps_of_all_concepts_add_up(model: Model, inputs: NDArray[np.float64]) -> None:
    whole = instrument_relevance(model, inputs, 0)
    n_channels = whole.channels.shape[1]
    parts = concept_relevance(model, inputs, 0, [1]) + concept_relevance(
        model, inputs, 0, [k for k in range(n_channels) if k != 1]
    )
    assert deviation(parts, whole.maps) < CONCEPTS_ADD_UP
    assert not concept_relevance(model, inputs, 0, []).any()


def test_head_relevance_is_conserved_up_to_the_bias(model: Model, inputs: NDArray[np.float64]) -> None:
    """LRP-epsilon's relevance of the features adds up to the logit less the head's bias."""
    with torch.no_grad():
        model.network.head.bias.zero_()  # type: ignore[union-attr, operator]
    found = instrument_relevance(model, inputs, 2)
    np.testing.assert_allclose(found.channels.sum(axis=1), found.logits, rtol=1e-4)


def test_windows_do_not_influence_one_another(model: Model, inputs: NDArray[np.float64]) -> None:
    together = instrument_relevance(model, inputs, 0).maps
    for index in range(len(inputs)):
        alone = instrument_relevance(model, inputs[index : index + 1], 0).maps[0]
        assert deviation(together[index], alone) < FLOAT64


def test_explaining_leaves_the_model_unchanged(model: Model, inputs: NDArray[np.float64]) -> None:
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    logits = model.logits(inputs)
    first = instrument_relevance(model, inputs, 0).maps
    for _ in range(20):
        again = instrument_relevance(model, inputs, 0).maps
        np.testing.assert_array_equal(again, first)
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())
    np.testing.assert_array_equal(model.logits(inputs), logits)
    for module in model.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert not module._backward_pre_hooks


def test_two_threads_at_once_get_the_maps_of_one(model: Model, inputs: NDArray[np.float64]) -> None:
    expected = [instrument_relevance(model, inputs, label).maps for label in range(N_LABELS)]
    barrier = threading.Barrier(2)

    def explain_all(order: list[int]) -> list[tuple[int, NDArray[np.floating]]]:
        barrier.wait()
        return [(label, instrument_relevance(model, inputs, label).maps) for label in order * 5]

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(explain_all, [[0, 1, 2], [2, 1, 0]]):
            for label, maps in found:
                np.testing.assert_array_equal(maps, expected[label])


@pytest.mark.parametrize("model", ["default"], indirect=True)  # resizing to an image spreads to neighbours
def test_silent_cells_get_no_relevance(model: Model, inputs: NDArray[np.float64]) -> None:
    maps = instrument_relevance(model, inputs, 0).maps
    assert not maps[inputs == 0.0].any()


def test_resizing_keeps_the_sum_and_is_the_adjoint() -> None:
    to_image = ToImage(40, 3)
    x = torch.rand(2, 1, 16, 37, dtype=torch.float64, requires_grad=True)
    relevance = torch.randn(2, 3, 40, 40, dtype=torch.float64)
    image = to_image(x)
    (adjoint,) = torch.autograd.grad(image, x, relevance)
    torch.testing.assert_close(adjoint.sum(), relevance.sum())
    torch.testing.assert_close((image * relevance).sum(), (x * adjoint).sum())
    torch.testing.assert_close(adjoint, lrp._resize_adjoint(x.detach(), relevance))
