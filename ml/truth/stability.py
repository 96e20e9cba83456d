"""Whether maps change when they should, and only then.

* Maps of different labels should differ: where two look alike, they show the clip rather than the labels.
* Maps should not change with what makes no difference: a gain of +-1 dB, noise `NOISE_DB` below the mix.
* Maps should change when the network forgets what it learned: layers are randomised one after another, from
  the head down to the first, each beside those before (*cascading* randomisation of Adebayo et al., *Sanity
  checks for saliency maps*, NeurIPS 2018). Randomising here is shuffling a layer's weights, and its biases,
  among themselves, which keeps their distribution and so the size of activations.

Similarity is the cosine of two maps taken as vectors, all windows together, -1..1; rank similarity is
Spearman's correlation of their cells. `MapMaker` is whatever makes maps: a method of `ml.relevance`, or one
of its baselines.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ml.classification import listen
from ml.model import Model
from ml.recording import Recording

GAINS_DB = (-1.0, 1.0)
NOISE_DB = -60.0  # root mean square of white noise, re the mix's
ALIKE = 0.4  # similarity of labels' evidence that calls for a warning; maps of true evidence stay below 0.2

MapMaker = Callable[[Model, NDArray[np.floating], Sequence[int]], NDArray[np.floating]]
"""Takes a model, scaled log-mels `(n, n_mels, n_frames)` and labels; gives maps `(n_labels, n, n_mels,
n_frames)`."""


@dataclass(frozen=True)
class Stability:
    """Similarity of a label's map to those of nearly the same recording.

    Attributes
    ----------
    gain : float
        The least over `GAINS_DB`.
    noise : float
        With faint noise added.
    """

    gain: float
    noise: float


@dataclass(frozen=True)
class Randomised:
    """Similarity of maps to those of the network with `layer` and all above it randomised.

    Means over the labels of magnitudes: a shuffled head may turn a logit's sign and with it the map's.
    """

    layer: str
    similarity: float
    rank_similarity: float


def similarity(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Cosine of two maps of the same shape; 0 where one of them is zero throughout."""
    a, b = first.ravel().astype(np.float64), second.ravel().astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0.0 else 0.0


def rank_similarity(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Spearman's correlation of two maps' cells; 0 where one of them is constant."""
    a, b = first.ravel(), second.ravel()
    if np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return 0.0
    from scipy.stats import spearmanr  # half a second to import, for reports alone

    return float(spearmanr(a, b).statistic)


def label_similarities(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """How alike the evidence for different labels is.

    Parameters
    ----------
    maps : ndarray, shape (n_labels, ...)
        One signed map for each label, of the same recording.

    Returns
    -------
    ndarray of float64, shape (n_labels, n_labels)
        Similarity of the maps' positive parts, 0..1; 1 on the diagonal, or 0 for a map without any.
    """
    positive = np.maximum(maps, 0.0).reshape(len(maps), -1).astype(np.float64)
    lengths = np.linalg.norm(positive, axis=1, keepdims=True)
    unit = np.divide(positive, lengths, out=np.zeros_like(positive), where=lengths > 0.0)
    alike: NDArray[np.float64] = unit @ unit.T
    return alike


def stability(
    model: Model, recording: Recording, labels: Sequence[int], make_maps: MapMaker, *, seed: int = 0
) -> tuple[Stability, ...]:
    """How much maps change with what makes no difference.

    Parameters
    ----------
    model : Model
    recording : Recording
    labels : sequence of int
    make_maps : MapMaker
    seed : int
        Of the noise.

    Returns
    -------
    tuple of Stability
        One for each label; similarities are 0 for a silent recording.
    """
    samples = recording.samples
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) * 10.0 ** (NOISE_DB / 20.0)
    noise = np.random.default_rng(seed).normal(0.0, level, len(samples)).astype(np.float32)
    original = _maps_of(model, recording, labels, make_maps)
    louder_or_softer = [
        _maps_of(
            model,
            replace(recording, samples=samples * np.float32(10.0 ** (gain_db / 20.0))),
            labels,
            make_maps,
        )
        for gain_db in GAINS_DB
    ]
    noisy = _maps_of(model, replace(recording, samples=samples + noise), labels, make_maps)
    return tuple(
        Stability(
            gain=min(similarity(original[row], changed[row]) for changed in louder_or_softer),
            noise=similarity(original[row], noisy[row]),
        )
        for row in range(len(labels))
    )


def weight_randomisation(
    model: Model,
    inputs: NDArray[np.floating],
    labels: Sequence[int],
    make_maps: MapMaker,
    *,
    seed: int = 0,
) -> tuple[Randomised, ...]:
    """How much maps change when the network's layers are randomised, from the head down.

    Parameters
    ----------
    model : Model
        Is not changed.
    inputs : ndarray of float32, shape (n_windows, n_mels, n_frames)
        Scaled log-mels.
    labels : sequence of int
        At least one.
    make_maps : MapMaker
    seed : int
        Of the shuffling.

    Returns
    -------
    tuple of Randomised
        One for each layer with weights, the head first.
    """
    rng = np.random.default_rng(seed)
    original = make_maps(model, inputs, labels)
    network = copy.deepcopy(model.network)
    forgetful = replace(model, network=network, lock=threading.Lock())
    steps = []
    for name, layer in reversed(_layers_with_weights(network)):
        _shuffle(layer, rng)
        maps = make_maps(forgetful, inputs, labels)
        pairs = list(zip(original, maps, strict=True))
        steps.append(
            Randomised(
                name,
                float(np.mean([abs(similarity(*pair)) for pair in pairs])),
                float(np.mean([abs(rank_similarity(*pair)) for pair in pairs])),
            )
        )
    return tuple(steps)


def _maps_of(
    model: Model, recording: Recording, labels: Sequence[int], make_maps: MapMaker
) -> NDArray[np.floating]:
    """Maps of a recording's windows, zero in silent ones: `(n_labels, n_windows, n_mels, n_frames)`."""
    heard = listen(model, recording)
    maps = np.zeros((len(labels), *heard.inputs.shape), dtype=heard.inputs.dtype)
    if not heard.silent.all():
        maps[:, ~heard.silent] = make_maps(model, heard.inputs[~heard.silent], labels)
    return maps


def _layers_with_weights(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """In the order they run."""
    return [
        (name, module)
        for name, module in network.named_modules()
        if not list(module.children()) and list(module.parameters(recurse=False))
    ]


def _shuffle(layer: nn.Module, rng: np.random.Generator) -> None:
    with torch.no_grad():
        for parameter in layer.parameters(recurse=False):
            order = torch.from_numpy(rng.permutation(parameter.numel())).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
