"""Sounds that are known: bursts of noise one after another, so that stems do not overlap."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model import Model
from ml.truth.stems import Stem
from tests.unit.ml.truth.sounds import burst


@pytest.fixture
def apart() -> tuple[Stem, ...]:
    """Three instruments, one after another; B is louder, C softer."""
    return (burst("A", 0.1, 0.4, 0.1), burst("B", 0.6, 0.9, 0.3), burst("C", 1.1, 1.4, 0.03))


@pytest.fixture
def together() -> tuple[Stem, ...]:
    """Three instruments that overlap."""
    return (burst("A", 0.0, 0.9, 0.1), burst("B", 0.3, 1.2, 0.2), burst("C", 0.6, 1.5, 0.05))


@pytest.fixture(scope="session")
def listener(shipped: Model) -> Model:
    """A network that hears differences; what it hears in noise does not matter."""
    return shipped


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
