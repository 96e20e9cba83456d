"""Supervision of the explanation: relevance is asked to fall where the instrument is.

The parts of a remixed example are known, so the share ``m`` of an instrument's power in every cell is too.
The loss carries the instrument's relevance down to the spectrogram by the rules that explanations use
(`ml.relevance`: LRP-epsilon at the head, LRP-alpha2-beta1 in convolutions), in differentiable form, and asks
of the positive relevance ``R+`` how much of it lies on the instrument and how evenly it covers that:

* mass: ``1 - sum_A R+ m / sum R+``, with `A` the active cells (Arras et al., *CLEVR-XAI*, Information Fusion
  81, 2022, eq. 7, with a soft mask);
* coverage: ``1 - sum_p sqrt(r_p t_p)`` (Bhattacharyya) over patches `p`, `r` the distribution of ``R+`` and
  `t` that of ``m`` times the level above the activity's threshold: without it, relevance would be drawn to
  the one cell that is surest.

The logit and its relevance come from the same weights, so this changes what the network decides by, not only
how it looks; whether it does is measured by deletion and by Shapley values, which this loss does not see.

Batch norms are folded with their running statistics, as in the network that explains; in a run with this loss
those statistics are therefore held.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.networks.default import DefaultNetwork

_ALPHA, _BETA, _EPSILON = 2.0, 1.0, 1e-6  # the default method's
COVERAGE = 0.25  # weight of coverage beside mass
PATCH = 4  # cells in both directions over which coverage is asked
_TINY = 1e-12
_LEAST_PART = 1e-5  # of a map in one patch: keeps the root's slope bounded where there is no relevance


@dataclass(frozen=True)
class CellTruth:
    """Whose the cells of some examples are, for one instrument of each.

    Attributes
    ----------
    example : Tensor of int, shape (n_asked,)
        Position of the example in its batch; none twice.
    label : Tensor of int, shape (n_asked,)
        The instrument that is asked for.
    share : Tensor, shape (n_asked, n_mels, n_frames)
        Its share of each cell's power, 0..1; 0 where the cell is not active.
    prominence : Tensor, shape (n_asked, n_mels, n_frames)
        How far each active cell lies above the threshold of activity, 0..1.
    """

    example: Tensor
    label: Tensor
    share: Tensor
    prominence: Tensor

    def to(self, device: torch.device) -> CellTruth:
        """The same on a device."""
        return CellTruth(
            self.example.to(device), self.label.to(device), self.share.to(device), self.prominence.to(device)
        )


@dataclass(frozen=True)
class _Layer:
    """A convolution with its batch norm folded in, what entered it, and where pooling above it took from."""

    weight: Tensor
    bias: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    entering: Tensor  # (n, n_in, height, width)
    winners: Tensor | None  # indices of the pooling's winners
    size: list[int]  # (height, width) of the convolution's output


@dataclass(frozen=True)
class Trace:
    """A pass through a network with folded batch norms.

    Attributes
    ----------
    layers : tuple of _Layer
        From the input up.
    features : Tensor, shape (n, n_channels, 1, n_steps)
    """

    layers: tuple[_Layer, ...]
    features: Tensor


def trace(network: DefaultNetwork, x: Tensor) -> Trace:
    """Run the features of a network, batch norms folded with their running statistics.

    Parameters
    ----------
    network : DefaultNetwork
        Its mode does not matter.
    x : Tensor, shape (n, 1, n_mels, n_frames)

    Returns
    -------
    Trace
        Differentiable with respect to all weights.
    """
    layers = []
    modules = list(network.features)
    for place, convolution in enumerate(modules):
        if not isinstance(convolution, nn.Conv2d):
            continue
        norm = modules[place + 1]
        assert isinstance(norm, nn.BatchNorm2d)
        weight, bias = _folded(convolution, norm)
        stride = (convolution.stride[0], convolution.stride[1])
        padding = (int(convolution.padding[0]), int(convolution.padding[1]))
        entering = x
        x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
        size, winners = list(x.shape[2:]), None
        if place + 3 < len(modules) and isinstance(modules[place + 3], nn.MaxPool2d):
            x, winners = functional.max_pool2d(x, 2, return_indices=True)
        layers.append(_Layer(weight, bias, stride, padding, entering, winners, size))
    return Trace(tuple(layers), x)


def relevance_maps(network: DefaultNetwork, traced: Trace, example: Tensor, label: Tensor) -> Tensor:
    """Relevance of one label of each of some examples.

    Parameters
    ----------
    network : DefaultNetwork
    traced : Trace
    example, label : Tensor of int, shape (n_asked,)

    Returns
    -------
    Tensor, shape (n_asked, n_mels, n_frames)
        Equal to what `ml.relevance` computes, and differentiable.
    """
    features = traced.features[example]
    head = network.head.weight[label]  # (n_asked, n_channels, 1, 1)
    evidence = (features * head).sum(dim=1, keepdim=True) + _bias(network.head)[label][:, None, None, None]
    # pooling with held weights passes a_t z_t / s * s on; LRP-epsilon divides by z_t: what is left is a_t
    relevance = features * head * network.pool.weights(evidence).detach()[:, :, None]
    for layer in reversed(traced.layers):
        relevance = _descend(layer, relevance, example)
    return relevance[:, 0]


def relevance_loss(relevance: Tensor, truth: CellTruth) -> Tensor:
    """Mass and coverage of relevance, as the module says.

    Parameters
    ----------
    relevance : Tensor, shape (n_asked, n_mels, n_frames)
    truth : CellTruth

    Returns
    -------
    Tensor, shape ()
        0 where all positive relevance lies on the instrument and covers it as evenly as it sounds.
    """
    mass = mass_accuracy(relevance, truth)
    of_map = functional.avg_pool2d(relevance.float().clamp_min(0.0), PATCH).flatten(1)
    of_truth = functional.avg_pool2d(truth.share * truth.prominence, PATCH).flatten(1)
    overlap = ((_distribution(of_map) + _LEAST_PART).sqrt() * _distribution(of_truth).sqrt()).sum(dim=1)
    return ((1.0 - mass) + COVERAGE * (1.0 - overlap)).mean()


def mass_accuracy(relevance: Tensor, truth: CellTruth) -> Tensor:
    """Share of each map's positive relevance that lies on its instrument.

    Parameters
    ----------
    relevance : Tensor, shape (n_asked, n_mels, n_frames)
    truth : CellTruth

    Returns
    -------
    Tensor, shape (n_asked,)
        0..1; 0 for a map without positive relevance.
    """
    positive = relevance.float().clamp_min(0.0)
    return (positive * truth.share).sum(dim=(1, 2)) / positive.sum(dim=(1, 2)).clamp_min(_TINY)


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight * gain[:, None, None, None]
    return weight, (_bias(convolution) - norm.running_mean) * gain + norm.bias


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias


def _descend(layer: _Layer, relevance: Tensor, example: Tensor) -> Tensor:
    """LRP-alpha-beta through one convolution, from its (pooled) output to its input."""
    if layer.winners is not None:
        relevance = functional.max_unpool2d(relevance, layer.winners[example], (2, 2), output_size=layer.size)
    entering = layer.entering[example]
    height, width = layer.weight.shape[2:]
    spare = (
        (entering.shape[2] + 2 * layer.padding[0] - height) % layer.stride[0],
        (entering.shape[3] + 2 * layer.padding[1] - width) % layer.stride[1],
    )
    message = torch.zeros(())
    for factor, weight, bias, sign in (
        (_ALPHA, layer.weight.clamp(min=0.0), layer.bias.clamp(min=0.0), 1.0),
        (-_BETA, layer.weight.clamp(max=0.0), layer.bias.clamp(max=0.0), -1.0),
    ):
        z = functional.conv2d(entering, weight, bias, layer.stride, layer.padding)
        message = message + functional.conv_transpose2d(
            factor * relevance / (z + sign * _EPSILON), weight, None, layer.stride, layer.padding, spare
        )
    return entering * message


def _distribution(values: Tensor) -> Tensor:
    return values / values.sum(dim=1, keepdim=True).clamp_min(_TINY)
