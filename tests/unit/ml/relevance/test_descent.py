"""Both ways down, dense and cell by cell: against the slow rules, each other, and linearity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ml.relevance import bands as bands_of_columns
from ml.relevance import kernel_weights
from ml.relevance.descent import Descent
from ml.relevance.methods import METHODS, AlphaBeta, Epsilon, Flat, Gamma, Method, Rule
from ml.relevance.sparse_descent import SparseDescent
from ml.relevance.trace import Step, trace
from tests.reference import lrp_rules
from tests.unit.ml.relevance.small import FLOAT64, FLOAT64_CANCELLING, RULES, deviation

FLOAT32 = 1e-5

# Kernels, strides and paddings that fold, that leave rows over, that are wider than high.
SHAPES = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "stride": 2, "padding": 2},
    {"kernel_size": (8, 1)},
    {"kernel_size": 3, "stride": (1, 3), "padding": (0, 2)},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": (2, 4), "stride": 3, "padding": 1},
]


@pytest.fixture(params=[1, 2, 5], ids="{} threads".format)
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def random(*shape: int, seed: int, share_of_zeros: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    return values * (torch.rand(shape, generator=generator) >= share_of_zeros)


def two_blocks(n_in: int = 1) -> nn.Sequential:
    """A convolution with a stride, one with a pooling, and one above both."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(n_in, 5, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(5, 20, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 7, (4, 2)),
    )
    return network.double().requires_grad_(False)


def steps_of(network: nn.Module, a: Tensor) -> tuple[list[Step], Tensor]:
    return trace(network, a)


@pytest.mark.parametrize(("rule", "reference"), RULES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_convolution_by_every_rule(
    rule: Rule, reference: lrp_rules.Rule, shape: dict[str, int], n_threads: int
) -> None:
    torch.manual_seed(2)
    convolution = nn.Conv2d(3, 6, **shape).double().requires_grad_(False)  # type: ignore[arg-type]
    a = random(1, 3, 13, 41, seed=3, share_of_zeros=0.3)
    leaving = random(1, *convolution(a).shape[1:], seed=4, share_of_zeros=0.5) - 0.2
    expected = reference(convolution, a, leaving).numpy()
    steps = [Step("convolution", convolution, a)]
    for kind in (Descent, SparseDescent):
        found = kind.of(steps, [rule]).descend(leaving).numpy()
        assert deviation(found, expected) < FLOAT64_CANCELLING, kind


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
@pytest.mark.parametrize("n_maps", [1, 4, 70])
def test_both_ways_down_are_one(method: Method, n_maps: int, n_threads: int) -> None:
    steps, output = steps_of(two_blocks(), random(1, 1, 31, 58, seed=5, share_of_zeros=0.2))
    relevance = random(n_maps, *output.shape[1:], seed=6, share_of_zeros=0.6) - 0.3
    rules = [method.first, method.convolutions, method.convolutions]
    expected = Descent.of(steps, rules).descend(relevance).numpy()
    found = SparseDescent.of(steps, rules).descend(relevance).numpy()
    assert found.shape == expected.shape
    assert deviation(found, expected) < FLOAT64_CANCELLING


def test_in_single_precision() -> None:
    network, a = two_blocks().float(), random(1, 1, 31, 58, seed=5).float()
    steps, output = steps_of(network, a)
    relevance = random(6, *output.shape[1:], seed=6).float()
    rules: list[Rule] = [AlphaBeta(2.0, 1.0)] * 3
    found = SparseDescent.of(steps, rules).descend(relevance)
    assert found.dtype == torch.float32
    assert deviation(found.numpy(), Descent.of(steps, rules).descend(relevance).numpy()) < FLOAT32


def test_maps_add_up_and_do_not_mix() -> None:
    steps, output = steps_of(two_blocks(), random(1, 1, 31, 58, seed=5))
    relevance = random(9, *output.shape[1:], seed=7) - 0.5
    descent = SparseDescent.of(steps, [Flat(), AlphaBeta(2.0, 1.0), AlphaBeta(2.0, 1.0)])
    together = descent.descend(relevance).numpy()
    alone = np.concatenate([descent.descend(each[None]).numpy() for each in relevance])
    assert deviation(together, alone) < FLOAT64
    assert deviation(together.sum(axis=0), descent.descend(relevance.sum(dim=0)[None]).numpy()[0]) < FLOAT64


def test_no_relevance_goes_nowhere() -> None:
    steps, output = steps_of(two_blocks(), random(1, 1, 31, 58, seed=5))
    descent = SparseDescent.of(steps, [Epsilon()] * 3)
    assert not descent.descend(torch.zeros(3, *output.shape[1:], dtype=torch.float64)).any()


def test_equal_values_are_won_by_the_first() -> None:
    """As in PyTorch: the way down is that of the way up."""
    a = torch.ones(1, 1, 4, 6, dtype=torch.float64)
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 1))
    network = network.double().requires_grad_(False)
    for parameter in network.parameters():
        parameter.fill_(1.0)
    steps, output = steps_of(network, a)
    found = SparseDescent.of(steps, [AlphaBeta(1.0, 0.0)] * 2).descend(torch.ones_like(output))[0, 0]
    assert (found[1::2] == 0).all()
    assert (found[:, 1::2] == 0).all()
    assert (found[::2, ::2] != 0).all()


@pytest.mark.parametrize("which", ["weight", "bias"])
@pytest.mark.parametrize("rule", [Epsilon(), Gamma(0.25), AlphaBeta(2.0, 1.0)], ids=str)
def test_weights_that_change_are_taken_anew(which: str, rule: Rule) -> None:
    network, a = two_blocks(), random(1, 1, 31, 58, seed=5)
    convolution = network[2]
    assert isinstance(convolution, nn.Conv2d)
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: getattr(convolution, which).mul_(-1.0),
        lambda: setattr(
            convolution, which, nn.Parameter(getattr(convolution, which) * 2.0, requires_grad=False)
        ),
    ]
    for change in changes:
        change()
        steps, output = steps_of(network, a)
        relevance = random(2, *output.shape[1:], seed=8)
        expected = Descent.of(steps, [rule] * 3).descend(relevance).numpy()
        found = SparseDescent.of(steps, [rule] * 3).descend(relevance).numpy()
        assert deviation(found, expected) < FLOAT64_CANCELLING
    assert len(kernel_weights._kept[convolution]) == 1


def test_a_network_that_was_made_in_inference_mode() -> None:
    with torch.inference_mode():
        steps, output = steps_of(two_blocks(), random(1, 1, 31, 58, seed=5))
        relevance = random(2, *output.shape[1:], seed=8)
        expected = Descent.of(steps, [Epsilon()] * 3).descend(relevance).numpy()
        found = SparseDescent.of(steps, [Epsilon()] * 3).descend(relevance).numpy()
    assert deviation(found, expected) < FLOAT64_CANCELLING


def test_memory_bounds_how_many_maps_are_carried_at_once() -> None:
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 2, 3)).requires_grad_(False)
    steps, _ = steps_of(network, torch.rand(1, 3, 300, 300))
    for kind in (Descent, SparseDescent):
        assert 1 <= kind.of(steps, [Epsilon()] * 2).most_maps <= 12
    steps, _ = steps_of(two_blocks(), random(1, 1, 31, 58, seed=5))
    for kind in (Descent, SparseDescent):
        assert kind.of(steps, [Epsilon()] * 3).most_maps == 32


def test_weights_go_with_their_network() -> None:
    before = len(kernel_weights._kept)
    network = two_blocks()
    steps, _ = steps_of(network, random(1, 1, 31, 58, seed=5))
    SparseDescent.of(steps, [Epsilon()] * 3)
    assert len(kernel_weights._kept) == before + 3
    del network, steps
    assert len(kernel_weights._kept) == before


def test_bands_of_a_turn_do_not_touch() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for n_columns, pool, touched in ((1, 1, 3), (7, 1, 1), (27, 2, 4), (216, 1, 5), (40, 2, 3)):
            width = n_columns * pool + touched
            turns = bands_of_columns.turns_of(n_columns, pool, touched, width)
            bands = sorted(band for turn in turns for band in turn)
            assert [(bands[0][0], bands[-1][1]), (bands[0][2], bands[-1][3])] == [(0, n_columns), (0, width)]
            assert all(one[1] == other[0] and one[3] == other[2] for one, other in pairwise(bands))
            written = [
                [(first * pool, (last - 1) * pool + touched) for first, last, *_ in turn] for turn in turns
            ]
            assert all(one[1] <= other[0] for turn in written for one, other in pairwise(turn))
            # Nothing is cleared after it was written to: the first turn clears all that it writes to.
            for (_, _, left, right), (begins, ends) in zip(turns[0], written[0], strict=True):
                assert left <= begins
                assert ends <= right
    finally:
        torch.set_num_threads(before)
