"""Comparing masks: what a mask does to the instrument it is of, and to the other one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.checkpoint import SHIPPED_MODELS
from ml.masks import DEFAULT_MASK
from ml.model import Model, load_model
from scripts.compare_masks import COLUMNS, SETTINGS, Explained, explained_clips, measured


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(SHIPPED_MODELS / "default")


@pytest.fixture(scope="module")
def clip(model: Model) -> Explained:
    (only,) = explained_clips(model, 1)
    assert len(set(only.instruments)) == 2
    assert not np.array_equal(only.maps[0], only.maps[1])
    return only


def test_settings_differ_and_the_shipped_one_is_among_them() -> None:
    assert SETTINGS["as shipped"] == DEFAULT_MASK
    assert len(set(SETTINGS.values())) == len(SETTINGS)


def test_a_wider_mask_keeps_more_energy(model: Model, clip: Explained) -> None:
    energy, maps = COLUMNS.index("energy kept"), COLUMNS.index("maps")
    narrow, wide = (
        measured(model, clip, 0, replace(DEFAULT_MASK, kept_share=share, most_maps=1))
        for share in (0.3, 0.99)
    )
    assert 0.0 < narrow[energy] < wide[energy] < 1.0
    assert narrow[maps] == wide[maps] == 1
