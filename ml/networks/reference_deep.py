"""`reference-deep`: the study's network with two more convolutions, to ask what more layers change.

The four blocks of `reference`, then two convolutions (3x3, no padding, 128 channels) with batch norm and ReLU
and without pooling, so that position stays as fine as in the study: 128x19x19 = 46,208 features, dropout and
one linear layer. 893,580 parameters for twelve instruments.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from ml.networks.blocks import ToImage
from ml.networks.reference import CONVOLUTION_CHANNELS, DROPOUT, IMAGE_CHANNELS, IMAGE_SIZE, study_blocks

FURTHER_CONVOLUTIONS = 2
FLAT_FEATURES = 46_208


class DeepReferenceNetwork(nn.Module):
    """Log-mel `(batch, 1, n_mels, n_frames)`, scaled to 0..1, to logits `(batch, n_labels)`."""

    concept_layer = "features.conv6"

    def __init__(self, n_labels: int, n_mels: int) -> None:
        super().__init__()
        del n_mels  # any spectrogram is resized to the same image
        self.to_image = ToImage(IMAGE_SIZE, IMAGE_CHANNELS)
        layers: OrderedDict[str, nn.Module] = study_blocks()
        n_channels = CONVOLUTION_CHANNELS[-1]
        first = len(CONVOLUTION_CHANNELS) + 1
        for index in range(first, first + FURTHER_CONVOLUTIONS):
            layers[f"conv{index}"] = nn.Conv2d(n_channels, n_channels, kernel_size=3)
            layers[f"norm{index}"] = nn.BatchNorm2d(n_channels)
            layers[f"relu{index}"] = nn.ReLU()
        self.features = nn.Sequential(layers)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(FLAT_FEATURES, n_labels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.flatten(self.features(self.to_image(x)))))
        return logits
