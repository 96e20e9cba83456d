"""`default`: convolutional to the end with pooling over time, so it takes any length and its evidence can be
located.

A 5x5 convolution of stride 2, three blocks of 3x3 convolution and 2x2 max pooling, a convolution over the
full remaining height (which makes what it learns depend on absolute frequency), and a 1x1 convolution to one
evidence curve per instrument, pooled over time by a soft maximum. About 360,000 parameters; one evidence step
is 16 frames (0.19 s) and sees about half a second.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from ml.networks.blocks import SoftmaxTimePool

STEM_CHANNELS = 16
BLOCK_CHANNELS = (32, 64, 128)
FEATURE_CHANNELS = 256
REDUCTION = 16  # stride of the stem times three poolings, in both directions
FRAMES_PER_STEP = REDUCTION
DROPOUT = 0.2
POOL_TEMPERATURE = 2.0  # lets every moment at which an instrument plays speak for it, not the best one alone


class DefaultNetwork(nn.Module):
    """Log-mel `(batch, 1, n_mels, n_frames)`, scaled to 0..1, to logits `(batch, n_labels)`."""

    concept_layer = "features.conv5"

    def __init__(self, n_labels: int, n_mels: int) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv1"] = nn.Conv2d(1, STEM_CHANNELS, kernel_size=5, stride=2, padding=2)
        layers["norm1"] = nn.BatchNorm2d(STEM_CHANNELS)
        layers["relu1"] = nn.ReLU()
        n_in = STEM_CHANNELS
        for index, n_out in enumerate(BLOCK_CHANNELS, start=2):
            layers[f"conv{index}"] = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1)
            layers[f"norm{index}"] = nn.BatchNorm2d(n_out)
            layers[f"relu{index}"] = nn.ReLU()
            layers[f"pool{index}"] = nn.MaxPool2d(2)
            n_in = n_out
        layers["conv5"] = nn.Conv2d(n_in, FEATURE_CHANNELS, kernel_size=(n_mels // REDUCTION, 1))
        layers["norm5"] = nn.BatchNorm2d(FEATURE_CHANNELS)
        layers["relu5"] = nn.ReLU()
        self.features = nn.Sequential(layers)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Conv2d(FEATURE_CHANNELS, n_labels, kernel_size=1)
        self.pool = SoftmaxTimePool(POOL_TEMPERATURE)

    def evidence(self, x: Tensor) -> Tensor:
        """One evidence curve per label, `(batch, n_labels, 1, n_frames // FRAMES_PER_STEP)`."""
        curves: Tensor = self.head(self.dropout(self.features(x)))
        return curves

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.pool(self.evidence(x))
        return logits
