"""Masks: a slow reference, what they hold, who gets which cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.masks import DEFAULT_MASK, evidence_mask, levelled

SHAPE = (12, 30)
FLOAT32 = 1e-6


def reference_mask(
    a: np.ndarray, others: list[np.ndarray], kept_share: float, sharpness: float
) -> np.ndarray:
    """The formula cell by cell, the level by adding up cells until their share is reached."""
    held, level = 0.0, 0.0
    for value in sorted(a.ravel(), reverse=True):
        level = value
        held += value
        if held >= kept_share * a.sum():
            break
    mask = np.zeros(a.shape)
    for cell in np.ndindex(a.shape):
        rivals = sum(other[cell] ** sharpness for other in others) + level**sharpness
        if a[cell] > 0.0:
            mask[cell] = a[cell] ** sharpness / (a[cell] ** sharpness + rivals)
    return mask


def made(seed: int) -> np.ndarray:
    relevance: np.ndarray = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32) ** 3
    return relevance


@pytest.mark.parametrize("n_others", [0, 1, 3])
@pytest.mark.parametrize(("kept_share", "sharpness"), [(0.9, 2.0), (0.98, 4.0)])
def test_masks_are_those_of_the_reference(n_others: int, kept_share: float, sharpness: float) -> None:
    settings = replace(DEFAULT_MASK, kept_share=kept_share, sharpness=sharpness)
    own, others = levelled(made(0)), [levelled(made(1 + index)) for index in range(n_others)]
    expected = reference_mask(own, others, kept_share, sharpness)
    np.testing.assert_allclose(evidence_mask(own, others, settings), expected, atol=FLOAT32)
    assert 0.0 <= expected.min() < expected.max() <= 1.0


def test_cells_above_one_half_hold_the_promised_share() -> None:
    own = levelled(np.random.default_rng(2).normal(size=(40, 60)) ** 3)
    mask = evidence_mask(own)
    assert own[mask >= 0.5].sum() == pytest.approx(DEFAULT_MASK.kept_share, abs=0.01)


def test_negative_relevance_is_no_evidence() -> None:
    own = levelled(-np.abs(made(3)))
    assert not own.any()
    assert not evidence_mask(own, [levelled(made(4))]).any()


def test_a_map_is_levelled_over_time_whatever_its_scale() -> None:
    relevance = np.zeros((20, 200), dtype=np.float32)
    relevance[5, 40:60] = 1.0
    relevance[8, 140:160] = 0.1  # a second note, ten times less relevant
    even = levelled(relevance)
    assert even.sum() == pytest.approx(1.0)
    first, second = even[:, :100].sum(), even[:, 100:].sum()
    assert 0.5 < second / first <= 1.0
    np.testing.assert_allclose(levelled(relevance * np.float32(1e6)), even, rtol=1e-5)
    hardly = relevance.copy()
    hardly[8] *= np.float32(1e-4)  # next to nothing stays so
    assert levelled(hardly)[:, 100:].sum() < 0.01


def test_a_cell_goes_to_whoever_claims_it() -> None:
    here, there = np.zeros((20, 60), dtype=np.float32), np.zeros((20, 60), dtype=np.float32)
    here[4:8], there[6:14] = 1.0, 1.0
    masks = [evidence_mask(levelled(a), [levelled(b)]) for a, b in ((here, there), (there, here))]
    assert masks[0][4, 30] > 0.5 > masks[1][4, 30]
    assert masks[1][12, 30] > 0.5 > masks[0][12, 30]
    assert (masks[0] + masks[1]).max() <= 1.0 + FLOAT32
    np.testing.assert_array_less(masks[0], evidence_mask(levelled(here)) + FLOAT32)
