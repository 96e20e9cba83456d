"""An atlas of the shipped model, of so few clips that it takes seconds."""

from __future__ import annotations

import pytest

from ml.checkpoint import SHIPPED_MODELS
from ml.concepts.atlas import Atlas
from ml.concepts.build import build_atlas

N_CLIPS = 2
LAYER = "features.conv5"
SEED = 6


@pytest.fixture(scope="session")
def atlas() -> Atlas:
    return build_atlas(SHIPPED_MODELS / "default", n_clips=N_CLIPS, seed=SEED, layers=[LAYER])
