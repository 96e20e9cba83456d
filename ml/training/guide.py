"""Supervision by the stems: features are asked which cells of the spectrogram are whose.

A guide is a 1x1 convolution beside the network, used in training alone. From the features that enter the last
pooling it says of each patch of `PATCH` x `PATCH` (bands x frames) what share of the power there is each
label's. Features that can say so keep instruments apart where they overlap, and relevance that passes through
them arrives at the right one.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ml.networks.default import BLOCK_CHANNELS, REDUCTION, DefaultNetwork

PATCH = REDUCTION // 2
SCALE = 4.0  # brings the mean over patches, most of them nobody's, near the other losses


class OwnershipGuide(nn.Module):
    """Features `(n, channels, rows, columns)` to logits of ownership `(n, n_labels, rows, columns)`."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(BLOCK_CHANNELS[-1], n_labels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.head(features)
        return logits


def guided_evidence(network: DefaultNetwork, guide: OwnershipGuide, x: Tensor) -> tuple[Tensor, Tensor]:
    """A network's evidence curves and what the guide reads from it on the way.

    Parameters
    ----------
    network : DefaultNetwork
    guide : OwnershipGuide
    x : Tensor, shape (n, 1, n_mels, n_frames)

    Returns
    -------
    evidence : Tensor, shape (n, n_labels, 1, n_steps)
    ownership : Tensor, shape (n, n_labels, rows, columns)
        Logits.
    """
    layers = list(network.features.named_children())
    last_pool = max(index for index, (_, layer) in enumerate(layers) if isinstance(layer, nn.MaxPool2d))
    for _, layer in layers[:last_pool]:
        x = layer(x)
    ownership = guide(x)
    for _, layer in layers[last_pool:]:
        x = layer(x)
    return network.head(network.dropout(x)), ownership


def ownership_loss(logits: Tensor, owned: Tensor, active: Tensor) -> Tensor:
    """Binary cross-entropy of each label's share of each patch, patches weighted by their activity.

    Parameters
    ----------
    logits : Tensor, shape (n, n_labels, rows, columns)
    owned : Tensor, shape (n, n_labels, rows, columns)
        Share of each label in the active cells of each patch, 0..1.
    active : Tensor, shape (n, rows, columns)
        Share of each patch's cells that is active, 0..1.

    Returns
    -------
    Tensor, shape ()
    """
    rows, columns = owned.shape[2:]
    each = functional.binary_cross_entropy_with_logits(
        logits[:, :, :rows, :columns].float(), owned, reduction="none"
    )
    return SCALE * (each * active[:, None]).mean()
