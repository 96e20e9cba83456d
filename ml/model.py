"""A model in memory: its card, its front end, and one frozen network that both classifies and is explained.

The frozen network has its batch norms folded and nothing trainable (see `ml.networks.blocks.frozen_copy`).
Explaining hooks into it, and hooks are not thread-safe, so a model's `lock` is held during every pass. Its
weights lie channels last, as its activations then do: convolutions read neighbouring channels together, and
poolings whole vectors of them, which is nearly twice as fast as plane by plane.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from ml.checkpoint import WEIGHTS_NAME, InvalidCheckpointError, ModelCard, read_card, weights_sha256
from ml.device import best_device
from ml.melspec import MelConfig
from ml.networks.blocks import frozen_copy
from ml.networks.registry import build_network

# Windows passed at once. On a processor's cores larger activations leave the cache, and then take up to twice
# as long; elsewhere there are more cores to be kept busy.
_BATCH_WINDOWS, _BATCH_WINDOWS_ELSEWHERE = 4, 64


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes
    ----------
    card : ModelCard
    mel : MelConfig
        The front end it was trained with.
    network : nn.Module
        Frozen; takes `(n, 1, n_mels, n_frames)` scaled to 0..1, gives logits `(n, n_labels)`.
    concept_layer : str
        Name of the last convolution, whose channels are the concepts.
    device : torch.device
    lock : threading.Lock
        To be held while the network runs or is explained.
    """

    card: ModelCard
    mel: MelConfig
    network: nn.Module
    concept_layer: str
    device: torch.device
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the sound it takes."""
        return self.mel.sample_rate_hz

    def logits(self, inputs: NDArray[np.floating]) -> NDArray[np.floating]:
        """Run the network.

        Parameters
        ----------
        inputs : ndarray of float32, shape (n, n_mels, n_frames)
            Scaled log-mels (`ml.melspec.scaled`).

        Returns
        -------
        ndarray of float32, shape (n, n_labels)
        """
        parts = []
        size = _BATCH_WINDOWS if self.device.type == "cpu" else _BATCH_WINDOWS_ELSEWHERE
        with self.lock, torch.inference_mode():
            for first in range(0, len(inputs), size):
                batch = torch.from_numpy(inputs[first : first + size]).unsqueeze(1).to(self.device)
                parts.append(self.network(batch).cpu().numpy())
        return np.concatenate(parts)


def load_model(folder: Path, device: str = "cpu") -> Model:
    """Load a model folder.

    Parameters
    ----------
    folder : Path
        Holds `weights.safetensors` and `model.json`.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    Model

    Raises
    ------
    UnknownModelError
        When the folder holds no model.
    InvalidCheckpointError
        When the weights' hash is not the card's, or the weights do not fit the network.
    """
    card = read_card(folder)
    sha256 = weights_sha256(folder)
    if sha256 != card.sha256:
        raise InvalidCheckpointError(
            f"The weights in {folder} have hash {sha256}, but its card says {card.sha256}."
        )
    mel = MelConfig.from_dict(card.mel)
    network = build_network(card.network, len(card.labels), mel.n_mels)
    try:
        network.load_state_dict(load_file(folder / WEIGHTS_NAME))
    except (SafetensorError, RuntimeError) as error:
        raise InvalidCheckpointError(
            f"The weights in {folder} do not fit network {card.network!r}."
        ) from error
    torch_device = best_device(device)
    frozen = frozen_copy(network).to(torch_device)
    convert_conv2d_weight_memory_format(frozen, torch.channels_last)
    return Model(card, mel, frozen, network.concept_layer, torch_device)
