"""Networks: the study's one counted layer by layer, folding, any length, pooling."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ml.networks.blocks import SoftmaxTimePool, frozen_copy
from ml.networks.reference import ReferenceNetwork
from ml.networks.registry import UnknownNetworkError, build_network

FLOAT32 = 1e-4  # folding multiplies weights before the sums instead of after


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def trained_looking(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = build_network(name, 12, 128)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network


def test_reference_has_the_studys_layers() -> None:
    network = build_network("reference", 12, 128)
    layers = dict(network.features.named_children())
    counts = [n_parameters(layers[f"{kind}{index}"]) for index in range(1, 5) for kind in ("conv", "norm")]
    assert counts == [224, 16, 1_168, 32, 4_640, 64, 36_992, 256]
    assert isinstance(network.head, nn.Linear)
    assert network.head.in_features == 67_712
    assert n_parameters(network.head) == 812_556
    assert n_parameters(network) == 855_948


def test_reference_deep_is_the_study_and_two_more_convolutions() -> None:
    deep, study = build_network("reference-deep", 12, 128), build_network("reference", 12, 128)
    assert sum(p.numel() for p in deep.parameters()) == 893_580
    shared = study.features.state_dict()
    assert all(deep.features.state_dict()[name].shape == shared[name].shape for name in shared)
    assert [n for n, m in deep.features.named_children() if isinstance(m, nn.Conv2d)] == [
        f"conv{index}" for index in range(1, 7)
    ]


def test_reference_sees_a_square_image_of_equal_channels() -> None:
    network = build_network("reference", 12, 128)
    assert isinstance(network, ReferenceNetwork)
    image = network.to_image(torch.rand(2, 1, 128, 431))
    assert image.shape == (2, 3, 400, 400)
    assert torch.equal(image[:, 0], image[:, 1])
    assert torch.equal(image[:, 0], image[:, 2])


def test_default_is_small_and_takes_any_length() -> None:
    network = build_network("default", 12, 128).eval()
    assert n_parameters(network) < 400_000
    for n_frames in (16, 431, 2_000):
        assert network(torch.rand(1, 1, 128, n_frames)).shape == (1, 12)


@pytest.mark.parametrize("name", ["default", "reference", "reference-deep"])
def test_the_frozen_copy_computes_the_same_without_batch_norms(name: str) -> None:
    network = trained_looking(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    frozen = frozen_copy(network)
    x = torch.rand(2, 1, 128, 431)
    with torch.no_grad():
        torch.testing.assert_close(frozen(x), network.eval()(x), rtol=FLOAT32, atol=FLOAT32)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_batch_norm_that_cannot_be_folded_is_refused() -> None:
    with pytest.raises(TypeError, match="does not follow a convolution"):
        frozen_copy(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)))


def test_pooling_lies_between_mean_and_maximum() -> None:
    z = torch.randn(3, 5, 1, 40)
    pooled = SoftmaxTimePool(1.0)(z)
    assert (pooled <= z.amax(dim=(2, 3)) + 1e-6).all()
    assert (pooled >= z.mean(dim=(2, 3)) - 1e-6).all()
    constant = torch.full((1, 2, 1, 7), 1.5)
    torch.testing.assert_close(SoftmaxTimePool(2.0)(constant), torch.full((1, 2), 1.5))


def test_a_higher_temperature_shares_more_evenly() -> None:
    z = torch.tensor([[[[4.0, 2.0, -4.0]]]])
    for temperature in (1.0, 2.0):
        weights = SoftmaxTimePool(temperature).weights(z)[0, 0]
        torch.testing.assert_close(weights, (z[0, 0, 0] / temperature).softmax(dim=0))
    assert SoftmaxTimePool(2.0)(z) < SoftmaxTimePool(1.0)(z)


def test_held_weights_are_constants_for_the_gradient() -> None:
    z = torch.randn(1, 2, 1, 9, requires_grad=True)
    pool = SoftmaxTimePool(1.0)
    pool.hold_weights = True
    (gradient,) = torch.autograd.grad(pool(z).sum(), z)
    torch.testing.assert_close(gradient, z.softmax(dim=-1))


def test_unknown_networks_are_named() -> None:
    with pytest.raises(UnknownNetworkError, match="transformer") as caught:
        build_network("transformer", 12, 128)
    assert caught.value.extra["available"] == ["default", "reference", "reference-deep"]
