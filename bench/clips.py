"""What all rows are measured with: the shipped model and the example clip."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.checkpoint import SHIPPED_MODELS
from ml.classification import listen
from ml.model import Model, load_model
from ml.recording import Recording, load_recording

EXAMPLE = Path("examples/trumpet-and-celesta.wav")
TWO, FOUR = ("Trumpet", "Celesta"), ("Trumpet", "Celesta", "Violin", "Piccolo")


@functools.cache
def model() -> Model:
    """The shipped model."""
    return load_model(SHIPPED_MODELS / "default")


@functools.cache
def recording() -> Recording:
    """The clip, 5 s."""
    return load_recording(EXAMPLE.read_bytes(), sample_rate_hz=model().sample_rate_hz)


@functools.cache
def inputs() -> NDArray[np.float32]:
    """What the network sees of it, `(1, n_mels, n_frames)`."""
    return listen(model(), recording()).inputs
