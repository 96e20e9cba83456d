"""Building blocks that networks share: resizing to an image, pooling over time, folding of batch norm.

Tensors are `(batch, channels, n_mels, n_frames)`.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ToImage(nn.Module):
    """Resize a log-mel bilinearly to a square image of equal channels.

    Both steps are linear and have no parameters, so the gradient of `ToImage` is its adjoint: relevance that
    arrives at the image is summed over channels and spread over the cells each pixel was interpolated from,
    its sum kept (each pixel's interpolation weights add up to 1).
    """

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        image = nn.functional.interpolate(
            x, size=(self.size, self.size), mode="bilinear", align_corners=False
        )
        return image.expand(-1, self.channels, -1, -1)


class SoftmaxTimePool(nn.Module):
    """Pool class evidence over time: ``s_c = sum_t a_ct z_ct`` with ``a_c = softmax_t(z_c / temperature)``.

    A soft maximum, so one bar of trumpet in a minute of piano is enough, while every frame keeps a share. The
    higher the temperature, the more evenly frames with strong evidence share it.
    Input `(batch, classes, 1, n_steps)`, output `(batch, classes)`. While `hold_weights` is set the weights
    `a` are constants for the backward pass: then the pooling is linear in `z`, and relevance passes through
    it as ``R_ct = a_ct z_ct / s_c * R_c``.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.hold_weights = False

    def weights(self, z: Tensor) -> Tensor:
        """The weights `a`, `(batch, classes, n_steps)`."""
        return (z.flatten(2) / self.temperature).softmax(dim=-1)

    def forward(self, z: Tensor) -> Tensor:
        evidence = z.flatten(2)  # (batch, classes, n_steps)
        weights = self.weights(z)
        if self.hold_weights:
            weights = weights.detach()
        return (weights * evidence).sum(dim=-1)


def frozen_copy(network: nn.Module) -> nn.Module:
    """Copy a network for explaining: batch norms folded into convolutions, nothing trainable, pooling weights
    held.

    Parameters
    ----------
    network : nn.Module
        A network whose batch norms each follow a convolution inside an `nn.Sequential`. It is not changed.

    Returns
    -------
    nn.Module
        In evaluation mode, float32, computing the same function to rounding.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            _fold_batch_norms(module)
        if isinstance(module, SoftmaxTimePool):
            module.hold_weights = True
    return folded.requires_grad_(False)


def _fold_batch_norms(sequence: nn.Sequential) -> None:
    """Replace each (convolution, batch norm) pair by the one convolution that computes both."""
    previous: str | None = None
    for name, module in list(sequence.named_children()):
        if isinstance(module, nn.BatchNorm2d):
            if previous is None or not isinstance(sequence.get_submodule(previous), nn.Conv2d):
                raise TypeError(f"Batch norm {name!r} does not follow a convolution and cannot be folded.")
            convolution = sequence.get_submodule(previous)
            assert isinstance(convolution, nn.Conv2d)
            with torch.no_grad():
                setattr(sequence, previous, fuse_conv_bn_eval(convolution, module))
            setattr(sequence, name, nn.Identity())
        previous = name
