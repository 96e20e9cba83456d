"""`reference`: the network of the study, exactly.

The log-mel is resized bilinearly to 3x400x400 (three equal channels). Four convolutions (3x3, no padding; 8,
16, 32, 128 channels), each with batch norm, ReLU and 2x2 max pooling, leave 128x23x23 = 67,712 features, then
dropout and one linear layer. 855,948 parameters for twelve instruments.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from ml.networks.blocks import ToImage

IMAGE_SIZE = 400
IMAGE_CHANNELS = 3
CONVOLUTION_CHANNELS = (8, 16, 32, 128)
FLAT_FEATURES = 67_712
DROPOUT = 0.5


def study_blocks() -> OrderedDict[str, nn.Module]:
    """The study's four blocks by name: convolution, batch norm, ReLU, max pooling."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    n_in = IMAGE_CHANNELS
    for index, n_out in enumerate(CONVOLUTION_CHANNELS, start=1):
        layers[f"conv{index}"] = nn.Conv2d(n_in, n_out, kernel_size=3)
        layers[f"norm{index}"] = nn.BatchNorm2d(n_out)
        layers[f"relu{index}"] = nn.ReLU()
        layers[f"pool{index}"] = nn.MaxPool2d(2)
        n_in = n_out
    return layers


class ReferenceNetwork(nn.Module):
    """Log-mel `(batch, 1, n_mels, n_frames)`, scaled to 0..1, to logits `(batch, n_labels)`."""

    concept_layer = "features.conv4"

    def __init__(self, n_labels: int, n_mels: int) -> None:
        super().__init__()
        del n_mels  # any spectrogram is resized to the same image
        self.to_image = ToImage(IMAGE_SIZE, IMAGE_CHANNELS)
        self.features = nn.Sequential(study_blocks())
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(FLAT_FEATURES, n_labels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.flatten(self.features(self.to_image(x)))))
        return logits
