"""Relevance maximisation: the clips and positions that a search over everything would give."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.concepts.search import Found, peaks_of, strongest


def searched_everywhere(
    clips: list[NDArray[np.float64]], channel: int, n_found: int
) -> list[tuple[int, int, int, float]]:
    """Clip, row, column and relevance of a channel's references, by comparing every position."""
    best = []
    for clip, relevance in enumerate(clips):
        _, _, height, width = relevance.shape
        found = None
        for row in range(height):
            for column in range(width):
                value = sum(float(target[channel, row, column]) for target in relevance)
                if found is None or value > found[2]:
                    found = (row, column, value)
        assert found is not None
        best.append((clip, *found))
    positive = [each for each in best if each[3] > 0.0]
    return sorted(positive, key=lambda each: (-each[3], each[0]))[:n_found]


@pytest.fixture(scope="module")
def clips() -> list[NDArray[np.float64]]:
    """Relevance of clips with one to three instruments, in steps so coarse that many are equal."""
    rng = np.random.default_rng(3)
    return [rng.integers(-4, 4, (rng.integers(1, 4), 5, 2, 7)).astype(np.float64) for _ in range(40)]


def test_references_are_those_of_a_search_over_everything(clips: list[NDArray[np.float64]]) -> None:
    peaks = [peaks_of(relevance) for relevance in clips]
    for channel in range(5):
        found = strongest(peaks, channel, 8)
        assert [(each.clip, each.row, each.column, each.relevance) for each in found] == searched_everywhere(
            clips, channel, 8
        )
        assert len({each.clip for each in found}) == len(found)


def test_parts_are_those_of_the_instruments(clips: list[NDArray[np.float64]]) -> None:
    for each in strongest([peaks_of(relevance) for relevance in clips], 2, 40):
        parts = clips[each.clip][:, 2, each.row, each.column]
        assert each.parts == tuple(parts)
        assert sum(each.parts) == each.relevance
        assert each.target == int(parts.argmax())


def test_what_speaks_only_against_has_no_references() -> None:
    relevance = -np.ones((1, 2, 1, 3))
    relevance[0, 1] = 0.0
    peaks = peaks_of(relevance)
    assert strongest([peaks], 0, 8) == ()
    assert peaks.is_used.tolist() == [True, False]


def test_what_cancels_is_used() -> None:
    relevance = np.array([[[[1.0]]], [[[-1.0]]]])
    assert peaks_of(relevance).is_used.tolist() == [True]


def test_fewer_are_found_where_there_are_fewer() -> None:
    found = strongest([peaks_of(np.full((1, 1, 1, 2), 2.0))], 0, 8)
    assert found == (Found(clip=0, row=0, column=0, relevance=2.0, parts=(2.0,)),)
