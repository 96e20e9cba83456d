"""The maps of many windows: the same whether their activations were kept or computed again."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from ml.relevance import direct_engine
from ml.relevance.engine import explain_targets
from ml.relevance.sparse_descent import SparseDescent
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


def test_maps_of_a_window_are_made_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So memory stays bounded, progress is told and cancelling is noticed on the way."""
    model = small_model("default")
    inputs = np.random.default_rng(0).random((1, *SHAPE))
    targets = [Target(0), Target(2, 1), Target(1)]
    (expected, *_) = explain_targets(model, inputs, targets, 30, engine="direct")
    carried: list[int] = []
    finished: list[int] = []
    descend = SparseDescent.descend

    def counted(way: SparseDescent, relevance: Tensor) -> Tensor:
        carried.append(len(relevance))
        return descend(way, relevance)

    monkeypatch.setattr(SparseDescent, "descend", counted)
    (found, *_) = explain_targets(model, inputs, targets, 30, engine="direct", on_map=finished.append)
    assert carried == [31, 31, 31]
    assert finished == [3, *carried]
    np.testing.assert_array_equal(found.concept_maps, expected.concept_maps)
