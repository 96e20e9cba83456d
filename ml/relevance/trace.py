"""A sequential network's layers in the order they run, and what entered each of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ml.relevance.evidence import HEAD


@dataclass(frozen=True)
class Step:
    """A layer of the network and the activation `(n, ...)` that entered it."""

    name: str
    module: nn.Module
    entering: Tensor


def layers_of(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers by name in the order they run.

    Parameters
    ----------
    network : nn.Module

    Returns
    -------
    list of (str, nn.Module)
        Its modules that have no children.
    """
    return [
        (name, module) for name, module in network.named_modules() if name and not list(module.children())
    ]


def convolutions_of(network: nn.Module) -> tuple[str, ...]:
    """Names of the convolutions below the head, in the order they run.

    Parameters
    ----------
    network : nn.Module
    """
    return tuple(
        name for name, module in layers_of(network) if isinstance(module, nn.Conv2d) and name != HEAD
    )


def trace(network: nn.Module, data: Tensor, last: str | None = None) -> tuple[list[Step], Tensor]:
    """Run a sequential network and keep what entered each layer.

    Parameters
    ----------
    network : nn.Module
    data : Tensor, shape (n, 1, n_mels, n_frames)
    last : str, optional
        The layer to stop after; by default all run.

    Returns
    -------
    steps : list of Step
    output : Tensor
        Of the last layer: the logits `(n, n_labels)` where all run.
    """
    steps = []
    for name, module in layers_of(network):
        steps.append(Step(name, module, data))
        data = module(data)
        if name == last:
            break
    return steps, data
