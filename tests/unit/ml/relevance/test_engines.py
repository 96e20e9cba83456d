"""Both engines: against the slow reference for every method, layer and target, and by invariants."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.errors import UnknownLayerError
from ml.model import Model
from ml.networks.blocks import ToImage
from ml.networks.registry import build_network
from ml.relevance.direct_engine import covers
from ml.relevance.engine import (
    ENGINES,
    UnknownEngineError,
    check_layer,
    choose_engine,
    concept_layers,
    explain_targets,
)
from ml.relevance.evidence import Evidence
from ml.relevance.methods import METHODS, method_named
from ml.relevance.target import Target
from ml.relevance.zennit_engine import concept_relevance
from tests.reference import lrp
from tests.unit.ml.relevance.small import (
    CONCEPTS_ADD_UP,
    FLOAT64,
    FLOAT64_CANCELLING,
    N_LABELS,
    SHAPE,
    TARGETS,
    assert_untouched,
    deviation,
    model_of,
    small_model,
    state_of,
    without_biases,
)

CONSERVED = 1e-4  # stabilizers take a little where a denominator is small


def explain_one(model: Model, inputs: NDArray[np.float64], label: int, n: int, engine: str) -> Evidence:
    (evidence,) = explain_targets(model, inputs, [Target(label)], n, engine=engine)
    return evidence


def started_at(target: Target) -> lrp.Start:
    """What a target's docstring says, in torch."""

    def start(logits: Tensor) -> Tensor:
        relevance = torch.zeros_like(logits)
        if target.against_others:
            others = [label for label in range(logits.shape[1]) if label != target.label]
            relevance[:, others] = -logits[:, others].softmax(dim=1) * logits[:, others]
        if target.against is not None:
            relevance[:, target.against] = -logits[:, target.against]
        relevance[:, target.label] = logits[:, target.label]
        return relevance

    return start


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_the_slow_reference(
    model: Model, inputs: NDArray[np.float64], method: str, engine: str
) -> None:
    tolerance = FLOAT64_CANCELLING if method == "epsilon" else FLOAT64
    data = torch.from_numpy(inputs)[:, None]
    for layer in concept_layers(model):
        explained = explain_targets(
            model, inputs, TARGETS, 1, method=METHODS[method], layer=layer, engine=engine
        )
        for target, found in zip(TARGETS, explained, strict=True):
            start = started_at(target)
            expected, at_concepts = lrp.propagate(model.network, data, start, layer, method=method)
            assert at_concepts is not None
            by_channel = at_concepts.sum(dim=(2, 3)).numpy()
            strongest = int(np.abs(by_channel.mean(axis=0)).argmax())
            part, _ = lrp.propagate(model.network, data, start, layer, [strongest], method=method)
            assert deviation(found.maps, expected[:, 0].numpy()) < tolerance
            assert deviation(found.channels, by_channel) < tolerance
            assert found.strongest == (strongest,)
            assert deviation(found.concept_maps[0], part[:, 0].numpy()) < tolerance
            np.testing.assert_allclose(found.logits, start(torch.from_numpy(model.logits(inputs))).sum(1))


@pytest.mark.parametrize("method", METHODS)
def test_concepts_and_remainder_add_up_to_the_map(
    model: Model, inputs: NDArray[np.float64], method: str, engine: str
) -> None:
    """The map is zennit's, which carries it down as a whole: the direct engine adds it up."""
    for layer in concept_layers(model):
        evidence = {
            chosen: explain_targets(
                model, inputs[:1], [Target(0)], 3, method=METHODS[method], layer=layer, engine=chosen
            )[0]
            for chosen in {engine, "zennit"}
        }
        found = evidence[engine]
        assert len(found.concept_maps) == 3 + 1
        assert len(set(found.strongest)) == 3
        assert deviation(found.concept_maps.sum(axis=0), evidence["zennit"].maps) < CONCEPTS_ADD_UP


@pytest.mark.parametrize("method", METHODS)
def test_the_map_of_a_difference_is_the_difference_of_maps(
    model: Model, inputs: NDArray[np.float64], method: str, engine: str
) -> None:
    targets = [Target(0), Target(2), Target(0, against=2)]
    one, other, contrast = explain_targets(model, inputs, targets, method=METHODS[method], engine=engine)
    scale = max(float(np.abs(one.maps).max()), float(np.abs(other.maps).max()))
    assert np.abs(one.maps - other.maps - contrast.maps).max() < FLOAT64 * scale
    np.testing.assert_allclose(contrast.logits, one.logits - other.logits)


@pytest.mark.parametrize("method", [name for name in METHODS if "alpha2" not in name])
def test_without_biases_the_whole_logit_arrives(
    inputs: NDArray[np.float64], method: str, engine: str
) -> None:
    """Of alpha-beta with inhibition that holds only where something inhibits: it is left out."""
    model = without_biases(small_model("default"))
    model.network.head.weight *= 1e3  # type: ignore[union-attr, operator]  # logits far above the stabilizer
    (found,) = explain_targets(model, inputs, [Target(2)], method=METHODS[method], engine=engine)
    arrived = found.maps.sum(axis=(1, 2))
    np.testing.assert_allclose(arrived, found.channels.sum(axis=1), rtol=CONSERVED)
    np.testing.assert_allclose(arrived, found.logits, rtol=CONSERVED)


def test_head_relevance_is_conserved_up_to_the_bias(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    """LRP-epsilon's relevance of the features adds up to the logit less the head's bias."""
    with torch.no_grad():
        model.network.head.bias.zero_()  # type: ignore[union-attr, operator]
    found = explain_one(model, inputs, 2, 0, engine)
    np.testing.assert_allclose(found.channels.sum(axis=1), found.logits, rtol=CONSERVED)


def test_the_zennit_engine_maps_any_group_of_channels(model: Model, inputs: NDArray[np.float64]) -> None:
    for layer in concept_layers(model):
        for channels in ([0], [2, 3], []):
            found = concept_relevance(
                model, inputs, Target(1), channels, method=method_named("gamma-box"), layer=layer
            )
            data = torch.from_numpy(inputs)[:, None]
            expected, _ = lrp.propagate(model.network, data, 1, layer, channels, method="gamma-box")
            assert np.abs(found - expected[:, 0].numpy()).max() < FLOAT64


def test_windows_and_targets_do_not_influence_one_another(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    together = explain_targets(model, inputs, TARGETS, 1, engine=engine)
    for target, evidence in zip(TARGETS, together, strict=True):
        for index in range(len(inputs)):
            (alone,) = explain_targets(model, inputs[index : index + 1], [target], 1, engine=engine)
            assert deviation(evidence.maps[index], alone.maps[0]) < FLOAT64
            assert evidence.logits[index] == pytest.approx(alone.logits[0])


def test_progress_counts_every_map(model: Model, inputs: NDArray[np.float64], engine: str) -> None:
    counted: list[int] = []
    explain_targets(model, inputs, TARGETS, 3, engine=engine, on_map=counted.append)
    assert sum(counted) == len(TARGETS) * len(inputs) * (3 + 2)
    assert len(counted) > 2


def test_explaining_leaves_the_model_unchanged(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    before, logits = state_of(model), model.logits(inputs)
    first = explain_one(model, inputs, 0, 1, engine)
    for method in METHODS.values():
        explain_targets(model, inputs[:1], TARGETS, method=method, layer="features.conv1", engine=engine)
    np.testing.assert_array_equal(explain_one(model, inputs, 0, 1, engine).maps, first.maps)
    np.testing.assert_array_equal(model.logits(inputs), logits)
    assert_untouched(model, before)


def test_cancelling_leaves_the_model_unchanged(
    model: Model, inputs: NDArray[np.float64], engine: str
) -> None:
    before = state_of(model)

    def cancel(n_maps: int) -> None:
        raise InterruptedError(f"after {n_maps} maps")

    with pytest.raises(InterruptedError, match="after 3 maps"):
        explain_targets(model, inputs, [Target(0)], 1, engine=engine, on_map=cancel)
    assert_untouched(model, before)


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


def test_silent_cells_get_no_relevance_where_the_first_rule_looks_at_the_input(
    inputs: NDArray[np.float64], engine: str
) -> None:
    model = small_model("default")  # resizing to an image would spread relevance to neighbours
    for name, method in METHODS.items():
        (found,) = explain_targets(model, inputs, [Target(0)], method=method, engine=engine)
        spread = name.endswith(("-flat", "-box"))
        assert bool(found.maps[inputs == 0.0].any()) == spread


def test_nothing_to_explain_is_no_evidence(model: Model, inputs: NDArray[np.float64], engine: str) -> None:
    assert explain_targets(model, inputs, [], engine=engine) == ()
    for layer in concept_layers(model):
        none = np.zeros((0, *SHAPE))
        (found,) = explain_targets(model, none, [Target(0)], 3, layer=layer, engine=engine)
        assert found.maps.shape == (0, *SHAPE)
        assert found.channels.shape == (0, model.network.get_submodule(layer).out_channels)


def test_networks_that_are_not_covered_are_explained_by_zennit(inputs: NDArray[np.float64]) -> None:
    dilated = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 4, 3, dilation=2),
            relu=nn.ReLU(),
            flatten=nn.Flatten(),
            head=nn.Linear(1_344, 3),
        )
    )
    model = model_of(dilated, "conv", torch.float64)
    assert choose_engine(model) == "zennit"
    assert choose_engine(model, "zennit") == "zennit"
    with pytest.raises(UnknownEngineError, match="does not cover"):
        choose_engine(model, "direct")
    found = explain_one(model, inputs, 0, 1, "zennit")
    assert found.maps.shape == inputs.shape


def test_what_the_direct_engine_covers() -> None:
    for name in ("default", "reference", "reference-deep"):
        assert covers(build_network(name, N_LABELS, 128)) is False  # batch norms are not folded
        network = build_network(name, N_LABELS, 128)
        assert covers(model_of(network, network.concept_layer).network)

    def sequence(**layers: nn.Module) -> nn.Module:
        return nn.Sequential(OrderedDict(layers))

    first, head = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 1)
    assert covers(sequence(first=first, relu=nn.ReLU(), pool=nn.MaxPool2d(2), head=head))
    assert not covers(sequence(first=first, relu=nn.ReLU(), pool=nn.MaxPool2d(3), head=head))
    assert not covers(sequence(first=first, relu=nn.ReLU(), pool=nn.MaxPool2d(2, stride=1), head=head))
    assert not covers(sequence(first=first, relu=nn.ReLU(), pool=nn.AvgPool2d(2), head=head))
    assert not covers(
        sequence(first=first, second=nn.Conv2d(2, 2, 3), head=head)
    )  # may take what is negative
    second = nn.Conv2d(2, 2, 3)
    assert covers(sequence(first=first, pool=nn.MaxPool2d(2), relu=nn.ReLU(), second=second, head=head))
    assert not covers(
        sequence(
            first=first, relu=nn.ReLU(), pool=nn.MaxPool2d(2), again=nn.MaxPool2d(2), second=second, head=head
        )
    )
    assert not covers(sequence(first=first, relu=nn.ReLU(), last=head))
    assert not covers(sequence(head=nn.Conv2d(1, 3, 1)))


def test_engines_are_chosen_by_name(model: Model) -> None:
    assert choose_engine(model) == "direct"
    assert [choose_engine(model, name) for name in ENGINES] == list(ENGINES)
    with pytest.raises(UnknownEngineError, match="captum") as caught:
        choose_engine(model, "captum")
    assert caught.value.extra["available"] == list(ENGINES)


def test_layers_are_the_convolutions_below_the_head(inputs: NDArray[np.float64]) -> None:
    model = small_model("default")
    names = tuple(f"features.conv{index}" for index in range(1, 6))
    assert concept_layers(model) == names
    assert check_layer(model) == names[-1] == model.concept_layer
    assert [check_layer(model, name) for name in names] == list(names)
    for wrong in ("head", "features.relu1", "features", "conv1", ""):
        with pytest.raises(UnknownLayerError, match=f"no layer '{wrong}'") as caught:
            explain_targets(model, inputs, [Target(0)], layer=wrong)
        assert caught.value.extra == {"unknown": wrong, "available": list(names)}


def test_resizing_keeps_the_sum_and_is_the_adjoint() -> None:
    to_image = ToImage(40, 3)
    x = torch.rand(2, 1, 16, 37, dtype=torch.float64, requires_grad=True)
    relevance = torch.randn(2, 3, 40, 40, dtype=torch.float64)
    image = to_image(x)
    (adjoint,) = torch.autograd.grad(image, x, relevance)
    torch.testing.assert_close(adjoint.sum(), relevance.sum())
    torch.testing.assert_close((image * relevance).sum(), (x * adjoint).sum())
    torch.testing.assert_close(adjoint, lrp.resize_adjoint(x.detach(), relevance))
