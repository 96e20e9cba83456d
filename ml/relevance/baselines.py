"""Baselines: maps of other kinds, which a method of relevance has to beat.

=======================  ===================================================================================
`random`                 values drawn evenly from 0..1
`loudness`               the power of every cell: points at whatever is loud, the same for every label
`gradient-x-input`       ``x_j dz_c/dx_j`` (Shrikumar et al., arXiv:1605.01713, 2016)
`integrated-gradients`   ``x_j`` times the mean of ``dz_c/dx_j`` on the way from silence (Sundararajan et al.,
                         *Axiomatic attribution for deep networks*, ICML 2017, eq. 1)
`grad-cam`               ``max(0, sum_k mean_cells(dz_c/dA_k) A_k)`` with the feature maps `A` of the last
                         convolution that still tells frequencies apart (Selvaraju et al., ICCV 2017, eqs. 1
                         and 2), interpolated bilinearly to the log-mel
=======================  ===================================================================================

Those with gradients are captum's, of the logit ``z_c`` as the network computes it: for them the weights of
pooling over time are not held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients, LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.model import Model
from ml.networks.blocks import SoftmaxTimePool
from ml.relevance.trace import convolutions_of, trace

BaselineMaker = Callable[[Model, NDArray[np.floating], Sequence[int]], NDArray[np.floating]]
"""Takes a model, scaled log-mels `(n, n_mels, n_frames)` and labels; gives maps `(n_labels, n, n_mels,
n_frames)`."""

INTEGRATION_STEPS = 32  # by Gauss-Legendre's rule
_BATCH_PASSES = 32  # inputs differentiated at once: bounds memory


def random_maps(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
    """Maps of chance; the same for the same window and label.

    Parameters
    ----------
    model : Model
    inputs : ndarray, shape (n, n_mels, n_frames)
        Scaled log-mels.
    labels : sequence of int

    Returns
    -------
    ndarray, shape (n_labels, n, n_mels, n_frames)
        Evenly distributed over 0..1.
    """
    del model
    maps = np.empty((len(labels), *inputs.shape), dtype=inputs.dtype)
    for row, label in enumerate(labels):
        for index, window in enumerate(inputs):
            seen = hashlib.sha256(window.tobytes() + label.to_bytes(4, "big")).digest()
            maps[row, index] = np.random.default_rng(list(seen)).random(window.shape)
    return maps


def loudness_maps(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
    """The power of every cell, relative to the loudest of its window; cells scaled to 0 have none.

    Parameters
    ----------
    model : Model
    inputs : ndarray, shape (n, n_mels, n_frames)
        Scaled log-mels.
    labels : sequence of int

    Returns
    -------
    ndarray, shape (n_labels, n, n_mels, n_frames)
        In 0..1, equal for all labels.
    """
    power = np.where(inputs > 0.0, 10.0 ** ((inputs - 1.0) * model.mel.range_db / 10.0), 0.0)
    return np.repeat(power.astype(inputs.dtype)[None], len(labels), axis=0)


def gradient_x_input_maps(
    model: Model, inputs: NDArray[np.floating], labels: Sequence[int]
) -> NDArray[np.floating]:
    """Gradient of the logit times the input.

    Parameters
    ----------
    model : Model
    inputs : ndarray, shape (n, n_mels, n_frames)
        Scaled log-mels.
    labels : sequence of int

    Returns
    -------
    ndarray, shape (n_labels, n, n_mels, n_frames)
        Signed.
    """
    with _true_gradients(model):
        method = InputXGradient(model.network)
        return _for_each(model, inputs, labels, method.attribute)


def integrated_gradients_maps(
    model: Model, inputs: NDArray[np.floating], labels: Sequence[int]
) -> NDArray[np.floating]:
    """Integrated gradients from silence, an input of zeros.

    Parameters
    ----------
    model : Model
    inputs : ndarray, shape (n, n_mels, n_frames)
        Scaled log-mels.
    labels : sequence of int

    Returns
    -------
    ndarray, shape (n_labels, n, n_mels, n_frames)
        Signed; a map adds up to about the logit less that of silence.
    """

    def attribute(data: Tensor, label: int) -> Tensor:
        integrated: Tensor = method.attribute(
            data, target=label, n_steps=INTEGRATION_STEPS, internal_batch_size=_BATCH_PASSES
        )
        return integrated

    with _true_gradients(model):
        method = IntegratedGradients(model.network)
        return _for_each(model, inputs, labels, attribute)


def grad_cam_maps(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
    """Class activation maps weighted by gradients.

    Parameters
    ----------
    model : Model
        Of a sequential network.
    inputs : ndarray, shape (n, n_mels, n_frames)
        Scaled log-mels.
    labels : sequence of int

    Returns
    -------
    ndarray, shape (n_labels, n, n_mels, n_frames)
        Not negative.
    """

    def attribute(data: Tensor, label: int) -> Tensor:
        coarse = method.attribute(data, target=label, relu_attributions=True)
        fine: Tensor = LayerAttribution.interpolate(coarse, tuple(data.shape[2:]), "bilinear")
        return fine.detach()

    with _true_gradients(model):
        method = LayerGradCam(model.network, _cam_layer(model, inputs.shape[1:]))
        return _for_each(model, inputs, labels, attribute)


BASELINES: Mapping[str, BaselineMaker] = MappingProxyType(
    {
        "random": random_maps,
        "loudness": loudness_maps,
        "gradient-x-input": gradient_x_input_maps,
        "integrated-gradients": integrated_gradients_maps,
        "grad-cam": grad_cam_maps,
    }
)


def _for_each(
    model: Model,
    inputs: NDArray[np.floating],
    labels: Sequence[int],
    attribute: Callable[[Tensor, int], Tensor],
) -> NDArray[np.floating]:
    maps = np.zeros((len(labels), *inputs.shape), dtype=inputs.dtype)
    for first in range(0, len(inputs), _BATCH_PASSES):
        batch = slice(first, first + _BATCH_PASSES)
        data = torch.from_numpy(inputs[batch]).unsqueeze(1).to(model.device).requires_grad_(True)
        for row, label in enumerate(labels):
            maps[row, batch] = attribute(data, label).detach()[:, 0].cpu().numpy()
    return maps


@contextmanager
def _true_gradients(model: Model) -> Iterator[None]:
    """Holds the model's lock; meanwhile gradients go through the weights of pooling over time too."""
    poolings = [module for module in model.network.modules() if isinstance(module, SoftmaxTimePool)]
    with model.lock:
        held = [pooling.hold_weights for pooling in poolings]
        try:
            for pooling in poolings:
                pooling.hold_weights = False
            yield
        finally:
            for pooling, hold in zip(poolings, held, strict=True):
                pooling.hold_weights = hold


def _cam_layer(model: Model, shape: tuple[int, ...]) -> nn.Module:
    """The ReLU of the last convolution whose output is higher than one cell, or of the last of all."""
    with torch.inference_mode():
        data = torch.zeros((1, 1, *shape), dtype=next(model.network.parameters()).dtype)
        steps, _ = trace(model.network, data.to(model.device))
    names = [step.name for step in steps]
    convolutions = [names.index(name) for name in convolutions_of(model.network)]
    tall = [index for index in convolutions if steps[index + 1].entering.shape[2] > 1]
    at = (tall or convolutions)[-1]
    return next(step.module for step in steps[at:] if isinstance(step.module, nn.ReLU))
