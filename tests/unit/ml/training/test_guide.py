"""The guide reads the network without changing it, and its loss counts active patches alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ml.networks.default import DefaultNetwork
from ml.training.guide import PATCH, SCALE, OwnershipGuide, guided_evidence, ownership_loss


def test_a_guided_pass_gives_the_same_evidence_and_patches_of_the_input() -> None:
    torch.manual_seed(0)
    network, guide = DefaultNetwork(3, 128).eval(), OwnershipGuide(3)
    x = torch.rand(2, 1, 128, 96)
    evidence, ownership = guided_evidence(network, guide, x)
    torch.testing.assert_close(evidence, network.evidence(x))
    assert ownership.shape == (2, 3, 128 // PATCH, 96 // PATCH)


def test_the_guide_teaches_the_layers_below_it() -> None:
    network, guide = DefaultNetwork(3, 128), OwnershipGuide(3)
    _, ownership = guided_evidence(network, guide, torch.rand(2, 1, 128, 64))
    loss = ownership_loss(ownership, torch.rand(2, 3, 16, 8), torch.ones(2, 16, 8))
    torch.autograd.backward(loss)
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert gradients["features.conv1.weight"].abs().sum() > 0
    assert not any(name.startswith(("head", "features.conv5")) for name in gradients)


def test_the_loss_is_the_cross_entropy_over_active_patches() -> None:
    logits, owned = torch.randn(1, 2, 2, 3), torch.rand(1, 2, 2, 3)
    active = torch.zeros(1, 2, 3)
    active[0, 1, 2] = 0.5
    found = ownership_loss(logits, owned, active)
    expected = sum(
        float(functional.binary_cross_entropy_with_logits(logits[0, c, 1, 2], owned[0, c, 1, 2])) * 0.5
        for c in range(2)
    )
    assert float(found) == pytest.approx(SCALE * expected / 12)
