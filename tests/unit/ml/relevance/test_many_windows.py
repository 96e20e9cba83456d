"""The maps of many windows: the same whether their activations were kept or computed again."""

from __future__ import annotations

import numpy as np
import pytest

from ml.relevance import direct_engine
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target
from tests.unit.ml.relevance.small import SHAPE, small_model


@pytest.mark.parametrize("n_kept", [0, 1, 2])
def test_what_is_not_kept_is_computed_again(n_kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model("default")
    inputs = np.random.default_rng(0).random((3, *SHAPE))
    targets = [Target(0), Target(2, 1)]
    expected = explain_targets(model, inputs, targets, 2, engine="direct")
    finished: list[int] = []
    monkeypatch.setattr(direct_engine, "_KEPT_WINDOWS", n_kept)
    found = explain_targets(model, inputs, targets, 2, engine="direct", on_map=finished.append)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.strongest == theirs.strongest
        for name in ("logits", "channels", "maps", "concept_maps"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert sum(finished) == len(inputs) * len(targets) * (2 + 2)
