"""Relevance, by both engines: against a slow reference, hand-written sums, each other, and by invariants."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.checkpoint import ModelCard
from ml.melspec import MelConfig
from ml.model import Model
from ml.networks.blocks import ToImage, frozen_copy
from ml.networks.default import DefaultNetwork
from ml.relevance.direct_engine import covers
from ml.relevance.engine import ENGINES, UnknownEngineError, choose_engine, explain_targets
from ml.relevance.evidence import Evidence
from ml.relevance.methods import method_named
from ml.relevance.target import Target
from ml.relevance.zennit_engine import concept_relevance
from tests.reference import lrp

N_LABELS = 3
FLOAT64 = 1e-9  # two float64 computations of the same sums in another order
CONCEPTS_ADD_UP = 1e-5  # what the project promises
ORACLE = 1e-5  # of the largest relevance; what the project promises of its engines


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


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def inputs() -> NDArray[np.float64]:
    """Three windows, a third of their cells silent."""
    values = np.random.default_rng(5).random((3, 16, 32))
    return np.where(values < 1 / 3, 0.0, values)


def deviation(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Largest difference over the largest expected magnitude."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def explain_one(model: Model, inputs: NDArray[np.float64], label: int, n: int, engine: str) -> Evidence:
    (evidence,) = explain_targets(model, inputs, [Target(label)], n, engine=engine)
    return evidence


@pytest.mark.parametrize("label", range(N_LABELS))
def test_maps_are_those_of_the_slow_reference(
    model: Model, inputs: NDArray[np.float64], label: int, engine: str
) -> None:
    found = explain_one(model, inputs, label, 2, engine)
    data = torch.from_numpy(inputs)[:, None]
    expected, at_concepts = lrp.propagate(model.network, data, label, model.concept_layer)
    assert at_concepts is not None
    by_channel = at_concepts.sum(dim=(2, 3)).numpy()
    assert deviation(found.maps, expected[:, 0].numpy()) < FLOAT64
    assert deviation(found.channels, by_channel) < FLOAT64
    order = np.argsort(-np.abs(by_channel.mean(axis=0)))
    assert found.strongest == tuple(order[:2])
    for channels, maps in zip([[order[0]], [order[1]], list(order[2:])], found.concept_maps, strict=True):
        part, _ = lrp.propagate(model.network, data, label, model.concept_layer, channels)
        assert np.abs(maps - part[:, 0].numpy()).max() < FLOAT64


def test_the_zennit_engine_maps_any_group_of_channels(model: Model, inputs: NDArray[np.float64]) -> None:
    for channels in ([0], [2, 5], [4]):
        found = concept_relevance(
            model, inputs, Target(1), channels, method=method_named(), layer=model.concept_layer
        )
        expected, _ = lrp.propagate(
            model.network, torch.from_numpy(inputs)[:, None], 1, model.concept_layer, channels
        )
        assert np.abs(found - expected[:, 0].numpy()).max() < FLOAT64
    assert not concept_relevance(
        model, inputs, Target(1), [], method=method_named(), layer=model.concept_layer
    ).any()


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


def test_concepts_and_remainder_add_up_to_the_map(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    for n_concepts in (0, 1, 5):
        found = explain_one(model, inputs, 0, n_concepts, engine)
        assert len(found.concept_maps) == n_concepts + 1
        assert deviation(found.concept_maps.sum(axis=0), found.maps) < CONCEPTS_ADD_UP


def test_head_relevance_is_conserved_up_to_the_bias(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    """LRP-epsilon's relevance of the features adds up to the logit less the head's bias."""
    with torch.no_grad():
        model.network.head.bias.zero_()  # type: ignore[union-attr, operator]
    found = explain_one(model, inputs, 2, 0, engine)
    np.testing.assert_allclose(found.channels.sum(axis=1), found.logits, rtol=1e-4)


def test_windows_and_labels_do_not_influence_one_another(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    together = explain_targets(model, inputs, [Target(k) for k in range(N_LABELS)], 1, engine=engine)
    for label, evidence in enumerate(together):
        for index in range(len(inputs)):
            alone = explain_one(model, inputs[index : index + 1], label, 1, engine)
            assert deviation(evidence.maps[index], alone.maps[0]) < FLOAT64
            assert evidence.logits[index] == pytest.approx(alone.logits[0])


def test_explaining_leaves_the_model_unchanged(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    logits = model.logits(inputs)
    first = explain_one(model, inputs, 0, 1, engine)
    for _ in range(5):
        again = explain_one(model, inputs, 0, 1, engine)
        np.testing.assert_array_equal(again.maps, first.maps)
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())
    np.testing.assert_array_equal(model.logits(inputs), logits)
    for module in model.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert not module._backward_pre_hooks


def test_two_threads_at_once_get_the_maps_of_one(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    expected = [explain_one(model, inputs, label, 1, engine).maps for label in range(N_LABELS)]
    barrier = threading.Barrier(2)

    def explain_all(order: list[int]) -> list[tuple[int, NDArray[np.floating]]]:
        barrier.wait()
        return [(label, explain_one(model, inputs, label, 1, engine).maps) for label in order * 3]

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(explain_all, [[0, 1, 2], [2, 1, 0]]):
            for label, maps in found:
                np.testing.assert_array_equal(maps, expected[label])


@pytest.mark.parametrize("model", ["default"], indirect=True)  # resizing to an image spreads to neighbours
def test_silent_cells_get_no_relevance(model: Model, inputs: NDArray[np.float64], engine: str) -> None:
    maps = explain_one(model, inputs, 0, 0, engine).maps
    assert not maps[inputs == 0.0].any()


@st.composite
def convolutional_networks(draw: st.DrawFn) -> tuple[nn.Module, str, int]:
    """Random networks of the kind that the direct engine covers, with a seed for weights and inputs."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    n_in = 1
    n_convolutions = draw(st.integers(1, 3))
    for index in range(1, n_convolutions + 1):
        n_out, size = draw(st.integers(1, 5)), draw(st.sampled_from([1, 3, 5]))
        stride = draw(st.sampled_from([1, 2]))
        layers[f"conv{index}"] = nn.Conv2d(
            n_in,
            n_out,
            size,
            stride=stride,
            padding=draw(st.integers(0, size // 2)),
            bias=draw(st.booleans()),
        )
        layers[f"relu{index}"] = nn.ReLU()
        height, width = nn.Sequential(layers)(torch.zeros(1, 1, 25, 31)).shape[2:]
        if min(height, width) >= 10 and draw(st.booleans()):
            layers[f"pool{index}"] = nn.MaxPool2d(2)
        n_in = n_out
    features = nn.Sequential(layers)
    flat = features(torch.zeros(1, 1, 25, 31)).numel()
    network = nn.Sequential(
        OrderedDict(features=features, flatten=nn.Flatten(), head=nn.Linear(flat, N_LABELS))
    )
    return network, f"features.conv{n_convolutions}", draw(st.integers(0, 2**31))


@given(drawn=convolutional_networks())
@settings(max_examples=40, deadline=None)
def test_the_direct_engine_gives_zennits_maps_on_any_network(drawn: tuple[nn.Module, str, int]) -> None:
    network, concept_layer, seed = drawn
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=tuple(parameter.shape))))
    model = model_of(network, concept_layer, torch.float64)
    assert covers(model.network)
    inputs = np.where(rng.random((2, 25, 31)) < 0.3, 0.0, rng.random((2, 25, 31)))
    direct = explain_targets(model, inputs, [Target(0), Target(2)], 2, engine="direct")
    oracle = explain_targets(model, inputs, [Target(0), Target(2)], 2, engine="zennit")
    for found, expected in zip(direct, oracle, strict=True):
        scale = max(float(np.abs(expected.maps).max()), 1e-12)
        assert found.strongest == expected.strongest
        assert np.abs(found.maps - expected.maps).max() < ORACLE * scale
        assert np.abs(found.concept_maps - expected.concept_maps).max() < ORACLE * scale
        np.testing.assert_allclose(found.logits, expected.logits)


def test_networks_that_are_not_covered_are_explained_by_zennit(inputs: NDArray[np.float64]) -> None:
    grouped = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 4, 3, dilation=2),
            relu=nn.ReLU(),
            flatten=nn.Flatten(),
            head=nn.Linear(1_344, 3),
        )
    )
    model = model_of(grouped, "conv", torch.float64)
    assert choose_engine(model) == "zennit"
    assert choose_engine(model, "zennit") == "zennit"
    with pytest.raises(UnknownEngineError, match="does not cover"):
        choose_engine(model, "direct")
    found = explain_one(model, inputs, 0, 1, "zennit")
    assert found.maps.shape == inputs.shape


def test_engines_are_chosen_by_name(model: Model) -> None:
    assert choose_engine(model) == "direct"
    assert [choose_engine(model, name) for name in ENGINES] == list(ENGINES)
    with pytest.raises(UnknownEngineError, match="captum") as caught:
        choose_engine(model, "captum")
    assert caught.value.extra["available"] == list(ENGINES)


def test_no_windows_are_no_evidence(model: Model, engine: str) -> None:
    found = explain_one(model, np.zeros((0, 16, 32)), 0, 3, engine)
    assert found.maps.shape == (0, 16, 32)
    assert len(found.channels) == 0


def test_resizing_keeps_the_sum_and_is_the_adjoint() -> None:
    to_image = ToImage(40, 3)
    x = torch.rand(2, 1, 16, 37, dtype=torch.float64, requires_grad=True)
    relevance = torch.randn(2, 3, 40, 40, dtype=torch.float64)
    image = to_image(x)
    (adjoint,) = torch.autograd.grad(image, x, relevance)
    torch.testing.assert_close(adjoint.sum(), relevance.sum())
    torch.testing.assert_close((image * relevance).sum(), (x * adjoint).sum())
    torch.testing.assert_close(adjoint, lrp._resize_adjoint(x.detach(), relevance))
