"""Networks small enough for slow computations, and how results are compared."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.checkpoint import ModelCard
from ml.melspec import MelConfig
from ml.model import Model
from ml.networks.blocks import ToImage, frozen_copy
from ml.networks.default import DefaultNetwork
from ml.relevance.methods import AlphaBeta, Box, Epsilon, Flat, Gamma, Rule
from ml.relevance.target import Target
from tests.reference import lrp_rules

N_LABELS = 3
SHAPE = (16, 32)  # of the log-mels that these networks take
FLOAT64 = 1e-9  # two float64 computations of the same sums in another order
FLOAT64_CANCELLING = 1e-7  # the same where LRP-epsilon's contributions nearly cancel in a denominator
CONCEPTS_ADD_UP = 1e-5  # what the project promises
ORACLE = 1e-5  # of the largest relevance; what the project promises of its engines
TARGETS = (Target(0), Target(1), Target(2, against=0), Target(1, against_others=True))
# Every rule, and a slow function that does the same.
RULES: list[tuple[Rule, lrp_rules.Rule]] = [
    (Epsilon(), lrp_rules.epsilon),
    (Gamma(0.25), lrp_rules.gamma(0.25)),
    (AlphaBeta(1.0, 0.0), lrp_rules.alpha_beta(1, 0)),
    (AlphaBeta(2.0, 1.0), lrp_rules.alpha_beta(2, 1)),
    (Flat(), lrp_rules.flat),
    (Box(0.0, 1.0), lrp_rules.box(0, 1)),
    (Box(-1.0, 2.0), lrp_rules.box(-1, 2)),
]


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


def small_model(kind: str) -> Model:
    """A model in float64 with a small `default` network or one that looks at an `image`."""
    torch.manual_seed(11)
    network = DefaultNetwork(N_LABELS, SHAPE[0]) if kind == "default" else SmallImageNetwork()
    settle_batch_norms(network, 12)
    return model_of(network, network.concept_layer, torch.float64)


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
    """A model with three labels, its network frozen."""
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


def without_biases(model: Model) -> Model:
    """The same model, its biases set to zero."""
    for name, parameter in model.network.named_parameters():
        if name.endswith("bias"):
            with torch.no_grad():
                parameter.zero_()
    return model


def deviation(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Largest difference over the largest expected magnitude."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def state_of(model: Model) -> dict[str, Tensor]:
    """A copy of all weights."""
    return {name: value.clone() for name, value in model.network.state_dict().items()}


def assert_untouched(model: Model, before: dict[str, Tensor]) -> None:
    """Nothing was left behind: no weight changed, no hook, no gradient wanted, pooling weights held."""
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    for module in model.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert not module._backward_pre_hooks
        assert getattr(module, "hold_weights", True) is True
    assert not model.lock.locked()
