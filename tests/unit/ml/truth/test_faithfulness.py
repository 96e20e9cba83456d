"""Deletion and insertion: a slow reference, a network whose truth is known, and curves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.model import Model
from ml.truth.faithfulness import (
    FRACTION,
    FRACTIONS,
    LEAST_DROP,
    DeletionScores,
    OrderCurves,
    deletion,
    deletions,
    faithfulness_curves,
    mean_curves,
    pooled_gain,
)
from ml.truth.patches import noise_floor, patch_sums
from tests.reference import truth as slow
from tests.unit.ml.relevance.small import N_LABELS, model_of, small_model

SHAPE = (16, 64)
FLOAT64 = 1e-9


class Weighing(nn.Module):
    """Logits that are weighted sums of the cells: what matters is known exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.head = nn.Linear(SHAPE[0] * SHAPE[1], N_LABELS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.flatten(x))
        return logits


@pytest.fixture
def windows(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two windows, parts of them quiet."""
    values = rng.beta(0.5, 1.0, size=(2, *SHAPE))
    values[:, :8, 40:] *= 0.2
    return values


@pytest.fixture
def weighing() -> Model:
    torch.manual_seed(2)
    return model_of(Weighing(), "head", torch.float64)


def contributions(model: Model, windows: NDArray[np.float64], label: int) -> NDArray[np.float64]:
    """What each cell adds to a label's logit, above the noise floor."""
    head = model.network.get_submodule("head")
    assert isinstance(head, nn.Linear)
    weights = head.weight[label].numpy().reshape(SHAPE)
    floors = np.stack([noise_floor(window, model.mel) for window in windows])
    above: NDArray[np.float64] = np.maximum(windows - floors[:, :, None], 0.0) * weights
    return above


def test_the_drop_is_that_of_deleting_patch_by_patch(
    windows: NDArray[np.float64], rng: np.random.Generator
) -> None:
    model = small_model("default")
    relevance = rng.normal(size=(2, *windows.shape))
    found = deletions(model, windows, [2, 0], relevance)
    for row, label in enumerate([2, 0]):
        drops = []
        for window, of_window in zip(windows, relevance[row], strict=True):
            changed, floor = window.copy(), noise_floor(window, model.mel)
            for patch in slow.most_relevant(of_window, window, FRACTION):
                for cell in slow.patch_cells(SHAPE, *patch):
                    changed[cell] = min(changed[cell], floor[cell[0]])
            before, after = model.logits(np.stack([window, changed]))[:, label]
            drops.append(before - after)
        assert found[row].drop == pytest.approx(np.mean(drops), abs=FLOAT64)
    alone = deletion(model, windows, 2, relevance[0])
    assert alone.drop == pytest.approx(found[0].drop, abs=FLOAT64)
    assert deletions(model, windows, [2, 0], list(relevance), logits=model.logits(windows)) == found


def test_what_really_matters_drops_most(
    weighing: Model, windows: NDArray[np.float64], rng: np.random.Generator
) -> None:
    true = np.stack([contributions(weighing, windows, label) for label in range(N_LABELS)])
    found = deletions(weighing, windows, range(N_LABELS), true, n_random=32)
    for scores, of_label in zip(found, true, strict=True):
        largest = [
            sum(
                sum(float(window[cell]) for cell in slow.patch_cells(SHAPE, *patch))
                for patch in slow.most_relevant(window, cells, FRACTION)
            )
            for window, cells in zip(of_label, windows, strict=True)
        ]
        assert scores.drop == pytest.approx(np.mean(largest), abs=1e-6)  # exactly what was said to be there
        assert scores.drop > max(scores.random_drop, scores.loudest_drop)
    opposite = deletions(weighing, windows, range(N_LABELS), -true)
    drawn = deletions(weighing, windows, range(N_LABELS), rng.random(true.shape))
    for right, wrong, chance in zip(found, opposite, drawn, strict=True):
        assert wrong.drop < 0.0 < right.drop
        assert abs(chance.drop) < right.drop


def test_random_draws_are_those_of_the_seed(weighing: Model, windows: NDArray[np.float64]) -> None:
    relevance = np.zeros((1, *windows.shape))
    first, again, other = (deletions(weighing, windows, [1], relevance, seed=seed)[0] for seed in (4, 4, 5))
    assert first == again
    assert first.random_drop != other.random_drop
    assert (first.drop, first.loudest_drop) == (other.drop, other.loudest_drop)


def test_without_windows_nothing_drops(weighing: Model) -> None:
    nothing = np.zeros((0, *SHAPE))
    (scores,) = deletions(weighing, nothing, [0], nothing[None])
    assert (scores.drop, scores.random_drop, scores.loudest_drop, scores.gain) == (0.0, 0.0, 0.0, None)
    with pytest.raises(ValueError, match="no windows"):
        faithfulness_curves(weighing, nothing, [0], nothing[None])


def test_a_gain_needs_a_random_drop_and_is_pooled_by_means() -> None:
    assert DeletionScores(3.0, 1.5, 0.0).gain == 2.0
    assert DeletionScores(3.0, LEAST_DROP / 2, 0.0).gain is None
    assert DeletionScores(3.0, -1.0, 0.0).gain is None
    scores = [DeletionScores(4.0, 1.0, 0.0), DeletionScores(2.0, -0.5, 0.0)]
    assert pooled_gain(scores) == pytest.approx(3.0 / 0.25)
    assert np.isnan(pooled_gain(scores[1:]))
    assert np.isnan(pooled_gain([]))


def test_curves_begin_and_end_where_all_orders_meet(windows: NDArray[np.float64]) -> None:
    model = small_model("default")
    relevance = np.random.default_rng(1).normal(size=(2, *windows.shape))
    for label, curves in enumerate(faithfulness_curves(model, windows, [0, 1], relevance)):
        full = model.logits(windows)[:, label].mean()
        for order in (curves.relevance, curves.random, curves.loudest):
            assert order.deletion.shape == order.insertion.shape == (len(FRACTIONS),)
            assert order.deletion[0] == order.insertion[-1] == pytest.approx(full, abs=FLOAT64)
            assert order.deletion[-1] == pytest.approx(curves.relevance.deletion[-1], abs=FLOAT64)
            assert order.insertion[0] == pytest.approx(order.deletion[-1], abs=FLOAT64)
        np.testing.assert_array_equal(curves.random.insertion, curves.random.deletion[::-1])


def test_curves_pass_through_the_figure_of_a_request(windows: NDArray[np.float64]) -> None:
    model = small_model("default")
    relevance = np.random.default_rng(1).normal(size=(1, *windows.shape))
    (curves,) = faithfulness_curves(model, windows, [1], relevance)
    (scores,) = deletions(model, windows, [1], relevance)
    at = FRACTIONS.index(FRACTION)
    for order, drop in ((curves.relevance, scores.drop), (curves.loudest, scores.loudest_drop)):
        assert order.deletion[0] - order.deletion[at] == pytest.approx(drop, abs=FLOAT64)
    assert curves.random.deletion[0] - curves.random.deletion[at] == pytest.approx(
        scores.random_drop, abs=FLOAT64
    )


def test_inserting_keeps_the_most_relevant(weighing: Model, windows: NDArray[np.float64]) -> None:
    relevance = contributions(weighing, windows, 0)
    (curves,) = faithfulness_curves(weighing, windows, [0], relevance[None])
    for place, fraction in enumerate(FRACTIONS):
        kept = []
        for window, cells in zip(relevance, windows, strict=True):
            patches = slow.most_relevant(window, cells, 1.0)
            n_kept = len(patches) - int(np.ceil((1.0 - fraction) * len(patches) - 1e-9))
            active = {patch: patch_sums(window)[patch] for patch in patches}
            kept.append(sum(active[patch] for patch in patches[:n_kept]))
        gained = curves.relevance.insertion[place] - curves.relevance.insertion[0]
        assert gained == pytest.approx(np.mean(kept), abs=1e-6)
    for other in (curves.random, curves.loudest):  # nothing gains more, nothing loses more
        assert (curves.relevance.insertion >= other.insertion - FLOAT64).all()
        assert (curves.relevance.deletion <= other.deletion + FLOAT64).all()


def test_areas_are_means_of_what_is_left() -> None:
    fractions = np.array(FRACTIONS)
    straight = OrderCurves(deletion=5.0 - 4.0 * fractions, insertion=1.0 + 4.0 * fractions)
    assert straight.deletion_area == pytest.approx(0.5)
    assert straight.insertion_area == pytest.approx(0.5)
    at_once = OrderCurves(np.where(fractions > 0.0, 1.0, 5.0), np.where(fractions > 0.0, 5.0, 1.0))
    assert at_once.deletion_area == pytest.approx(0.025)  # half of the first step
    assert at_once.insertion_area == pytest.approx(0.975)
    both = mean_curves([straight, at_once])
    np.testing.assert_allclose(both.deletion, (straight.deletion + at_once.deletion) / 2)
    assert np.isnan(OrderCurves(fractions, fractions).deletion_area)  # deleting all raised the logit
