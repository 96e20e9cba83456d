"""The shipped model and an example clip, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.checkpoint import SHIPPED_MODELS
from ml.explanation import Explanation, explain
from ml.model import Model, load_model
from ml.recording import Recording, load_recording

EXAMPLE = Path("examples/trumpet-and-celesta.wav")
N_CONCEPTS = 2


@pytest.fixture(scope="session")
def shipped() -> Model:
    return load_model(SHIPPED_MODELS / "default")


@pytest.fixture(scope="session")
def example(shipped: Model) -> Recording:
    return load_recording(EXAMPLE.read_bytes(), sample_rate_hz=shipped.sample_rate_hz)


@pytest.fixture(scope="session")
def explanation(shipped: Model, example: Recording) -> Explanation:
    return explain(shipped, example, n_concepts=N_CONCEPTS)
