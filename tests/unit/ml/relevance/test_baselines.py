"""Baselines: against finite differences and plain sums, and by what they leave behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.model import Model
from ml.networks.blocks import SoftmaxTimePool
from ml.relevance.baselines import BASELINES, INTEGRATION_STEPS
from tests.unit.ml.relevance.small import (
    FLOAT64,
    N_LABELS,
    SHAPE,
    assert_untouched,
    deviation,
    small_model,
    state_of,
)

LABELS = (2, 0)
STEP = 1e-6  # of finite differences: errors of about 1e-9 against gradients around 0.01
FINITE_DIFFERENCES = 1e-4
FLOAT32_STEPS = 1e-6  # captum rounds the weights of its steps to float32
INTEGRAL = 0.05  # of the logit's change: kinks of ReLUs between the steps


def logits_of(model: Model, data: Tensor) -> Tensor:
    """The network layer by layer, pooling written out with weights that depend on what they weigh."""
    for module in model.network.modules():
        if isinstance(module, SoftmaxTimePool):
            evidence = data.flatten(2)
            data = (torch.softmax(evidence / module.temperature, -1) * evidence).sum(-1)
        elif not list(module.children()):
            data = module(data)
    return data


@pytest.mark.parametrize("name", BASELINES)
def test_there_is_a_map_for_every_label_and_window(
    model: Model, inputs: NDArray[np.float64], name: str
) -> None:
    before, logits = state_of(model), model.logits(inputs)
    for values in (inputs, inputs[:1], inputs[:0]):
        maps = BASELINES[name](model, values, LABELS)
        assert maps.shape == (len(LABELS), len(values), *SHAPE)
        assert maps.dtype == values.dtype
        assert np.isfinite(maps).all()
    assert BASELINES[name](model, inputs, []).shape == (0, *inputs.shape)
    np.testing.assert_array_equal(model.logits(inputs), logits)
    assert_untouched(model, before)


@pytest.mark.parametrize("name", BASELINES)
def test_windows_and_labels_do_not_influence_one_another(
    model: Model, inputs: NDArray[np.float64], name: str
) -> None:
    together = BASELINES[name](model, inputs, LABELS)
    for row, label in enumerate(LABELS):
        for index in range(len(inputs)):
            alone = BASELINES[name](model, inputs[index : index + 1], [label])
            assert np.abs(together[row, index] - alone[0, 0]).max() < FLOAT64 * np.abs(together).max()


def test_chance_is_even_and_repeats_itself(model: Model, inputs: NDArray[np.float64]) -> None:
    maps = BASELINES["random"](model, inputs, range(N_LABELS))
    assert maps.min() >= 0.0
    assert maps.max() < 1.0
    assert maps.mean() == pytest.approx(0.5, abs=0.02)
    flat = maps.reshape(N_LABELS * len(inputs), -1)
    assert np.abs(np.corrcoef(flat) - np.eye(len(flat))).max() < 0.2
    np.testing.assert_array_equal(BASELINES["random"](model, inputs, range(N_LABELS)), maps)


def test_loudness_is_the_power_of_each_cell(model: Model, inputs: NDArray[np.float64]) -> None:
    inputs[0, 3, 4], inputs[0, 3, 5], inputs[0, 3, 6] = 1.0, 1.0 - 10.0 / model.mel.range_db, 0.0
    maps = BASELINES["loudness"](model, inputs, LABELS)
    np.testing.assert_allclose(maps[0, 0, 3, 4:7], [1.0, 0.1, 0.0])
    np.testing.assert_array_equal(maps[0], maps[1])


def test_gradients_are_those_of_finite_differences(model: Model, inputs: NDArray[np.float64]) -> None:
    """Weights of pooling over time move with the input: held ones would give other gradients."""
    maps = BASELINES["gradient-x-input"](model, inputs, LABELS)
    rng = np.random.default_rng(8)
    for _ in range(5):
        direction = rng.normal(size=inputs.shape) * inputs  # times the input, as the maps are
        with torch.no_grad():
            shifted = [
                logits_of(model, torch.from_numpy(inputs + sign * STEP * direction)[:, None])
                for sign in (1, -1)
            ]
        expected = ((shifted[0] - shifted[1]) / (2 * STEP)).numpy()[:, list(LABELS)].T
        along = np.where(inputs > 0.0, direction / np.where(inputs > 0.0, inputs, 1.0), 0.0)
        found = (maps * along).sum(axis=(2, 3))
        np.testing.assert_allclose(found, expected, rtol=FINITE_DIFFERENCES)


def test_integrated_gradients_are_gradients_summed_on_the_way(
    model: Model, inputs: NDArray[np.float64]
) -> None:
    points, weights = np.polynomial.legendre.leggauss(INTEGRATION_STEPS)
    expected = np.zeros((len(LABELS), *inputs.shape))
    for point, weight in zip((points + 1.0) / 2.0, weights / 2.0, strict=True):
        at = torch.from_numpy(point * inputs)[:, None].requires_grad_(True)
        logits = logits_of(model, at)
        for row, label in enumerate(LABELS):
            (gradient,) = torch.autograd.grad(logits[:, label].sum(), at, retain_graph=True)
            expected[row] += weight * inputs * gradient[:, 0].numpy()
    found = BASELINES["integrated-gradients"](model, inputs, LABELS)
    assert deviation(found, expected) < FLOAT32_STEPS
    change = (model.logits(inputs) - model.logits(np.zeros_like(inputs)))[:, list(LABELS)].T
    assert deviation(found.sum(axis=(2, 3)), change) < INTEGRAL


@pytest.mark.parametrize(("kind", "layer"), [("default", "relu4"), ("image", "relu2")])
def test_grad_cam_weighs_feature_maps_by_mean_gradients(
    kind: str, layer: str, inputs: NDArray[np.float64]
) -> None:
    """Of the last convolution that tells frequencies apart, written out channel by channel."""
    model = small_model(kind)
    data, kept = torch.from_numpy(inputs)[:, None], None
    for name, module in model.network.named_modules():
        if list(module.children()):
            continue
        if isinstance(module, SoftmaxTimePool):
            evidence = data.flatten(2)
            data = (torch.softmax(evidence / module.temperature, -1) * evidence).sum(-1)
        else:
            data = module(data)
        if name == f"features.{layer}":
            kept = data = data.requires_grad_(True)
    assert kept is not None
    assert kept.shape[2] > 1
    expected = np.zeros((len(LABELS), *inputs.shape))
    for row, label in enumerate(LABELS):
        (gradient,) = torch.autograd.grad(data[:, label].sum(), kept, retain_graph=True)
        coarse = torch.zeros_like(kept[:, :1])
        for channel in range(kept.shape[1]):
            coarse[:, 0] += gradient[:, channel].mean(dim=(1, 2))[:, None, None] * kept[:, channel]
        upsampled = nn.functional.interpolate(coarse.clamp(min=0), SHAPE, mode="bilinear")
        expected[row] = upsampled[:, 0].detach().numpy()
    assert deviation(BASELINES["grad-cam"](model, inputs, LABELS), expected) < FLOAT64
