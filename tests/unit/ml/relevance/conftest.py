"""Small models in float64, both engines, and windows to explain."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.model import Model
from ml.relevance.engine import ENGINES
from tests.unit.ml.relevance.small import SHAPE, small_model


@pytest.fixture(params=["default", "image"])
def model(request: pytest.FixtureRequest) -> Model:
    return small_model(request.param)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def inputs() -> NDArray[np.float64]:
    """Three windows, a third of their cells silent."""
    values = np.random.default_rng(5).random((3, *SHAPE))
    return np.where(values < 1 / 3, 0.0, values)
