"""The loss of relevance: its maps are the explaining engine's, and it is what a loop computes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from ml.model import Model
from ml.networks.blocks import frozen_copy
from ml.networks.default import DefaultNetwork
from ml.relevance.engine import explain_targets
from ml.relevance.methods import method_named
from ml.relevance.target import Target
from ml.training.relevance_loss import (
    COVERAGE,
    PATCH,
    CellTruth,
    mass_accuracy,
    relevance_loss,
    relevance_maps,
    trace,
)

N_LABELS, N_MELS, N_FRAMES = 4, 128, 71  # an odd number of frames, which poolings shorten
EXACT = 1e-9  # float64
BETWEEN_ENGINES = 1e-4  # of the largest relevance: LRP-epsilon's epsilon counts where logits are small


@pytest.fixture
def network() -> DefaultNetwork:
    torch.manual_seed(0)
    built = DefaultNetwork(N_LABELS, N_MELS)
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
            torch.nn.init.normal_(module.bias, 0.0, 0.1)
    return built.double().eval()


def truth_of(share: Tensor, prominence: Tensor) -> CellTruth:
    n = len(share)
    return CellTruth(torch.arange(n), torch.zeros(n, dtype=torch.long), share, prominence)


def test_a_traced_pass_gives_the_networks_features(network: DefaultNetwork) -> None:
    x = torch.rand(2, 1, N_MELS, N_FRAMES, dtype=torch.float64)
    torch.testing.assert_close(trace(network, x).features, network.features(x), rtol=EXACT, atol=EXACT)


def test_maps_are_those_of_the_default_method(network: DefaultNetwork) -> None:
    x = torch.rand(3, 1, N_MELS, N_FRAMES, dtype=torch.float64)
    example, label = torch.tensor([2, 0]), torch.tensor([1, 3])
    found = relevance_maps(network, trace(network, x), example, label).detach().numpy()
    model = Model(
        card=cast("object", SimpleNamespace(id="x", labels=tuple("abcd"))),  # type: ignore[arg-type]
        mel=cast("object", None),  # type: ignore[arg-type]
        network=frozen_copy(network),
        concept_layer="features.conv5",
        device=torch.device("cpu"),
    )
    for index in range(2):
        window = x[example[index]].numpy()
        evidence = explain_targets(model, window, [Target(int(label[index]))], method=method_named(None))
        expected = evidence[0].maps[0]
        np.testing.assert_allclose(found[index], expected, atol=BETWEEN_ENGINES * np.abs(expected).max())


def test_the_loss_is_that_of_a_loop() -> None:
    torch.manual_seed(1)
    relevance = torch.randn(2, 2 * PATCH, 3 * PATCH)
    share, prominence = torch.rand_like(relevance), torch.rand_like(relevance)
    expected = []
    for one in range(2):
        positive = np.maximum(relevance[one].numpy(), 0.0).astype(np.float64)
        owned = share[one].numpy().astype(np.float64)
        target = owned * prominence[one].numpy()
        overlap = 0.0
        for row in range(2):
            for column in range(3):
                cells = np.s_[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
                overlap += np.sqrt(
                    positive[cells].sum() / positive.sum() * target[cells].sum() / target.sum()
                )
        mass = (positive * owned).sum() / positive.sum()
        expected.append(1.0 - mass + COVERAGE * (1.0 - overlap))
    found = relevance_loss(relevance, truth_of(share, prominence))
    assert float(found) == pytest.approx(np.mean(expected), abs=1e-3)  # a bounded root, in float32


def test_a_map_like_the_truth_costs_nothing_and_one_beside_it_all() -> None:
    share = torch.zeros(1, 2 * PATCH, 2 * PATCH)
    share[:, :PATCH, :PATCH] = 1.0
    truth = truth_of(share, torch.ones_like(share))
    assert float(relevance_loss(share * 7.0, truth)) == pytest.approx(0.0, abs=0.01)
    assert float(relevance_loss(1.0 - share, truth)) == pytest.approx(1.0 + COVERAGE, abs=0.01)
    assert mass_accuracy(-share, truth).tolist() == [0.0]  # no positive relevance at all


def test_following_its_gradient_moves_relevance_onto_the_instrument(network: DefaultNetwork) -> None:
    network.float()
    torch.manual_seed(2)
    x = torch.rand(2, 1, N_MELS, 32)
    share = torch.zeros(2, N_MELS, 32)
    share[:, 40:70] = 1.0
    truth = truth_of(share, torch.ones_like(share))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    shares = []
    for _ in range(8):
        maps = relevance_maps(network, trace(network, x), truth.example, truth.label)
        shares.append(float(mass_accuracy(maps.detach(), truth).mean()))
        optimizer.zero_grad()
        torch.autograd.backward(relevance_loss(maps, truth))
        optimizer.step()
    assert np.isfinite(shares).all()
    assert shares[-1] > shares[0] + 0.1
