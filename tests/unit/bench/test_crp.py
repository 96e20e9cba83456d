"""zennit-crp as a yardstick: the same maps, by the quickest of its ways."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import crp
from bench.clips import TWO


@pytest.mark.parametrize("n_conditions", [1, 2, 3])
def test_maps_are_the_same_with_any_number_of_conditions_a_call(n_conditions: int) -> None:
    crp.check_equal(TWO, 1, n_conditions)
    found = crp.crp_maps(TWO, 1, n_conditions)
    assert [maps.shape[0] for maps in found] == [3, 3]
    for maps in found:
        np.testing.assert_allclose(maps[1:].sum(axis=0), maps[0], atol=1e-4 * np.abs(maps[0]).max())


def test_maps_that_differ_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    real = crp.crp_maps

    def wrong(names: tuple[str, ...], n_concepts: int, n_conditions: int) -> list[NDArray[np.floating]]:
        found = real(names, n_concepts, n_conditions)
        found[-1][-1] *= 1.01
        return found

    monkeypatch.setattr(crp, "crp_maps", wrong)
    with pytest.raises(RuntimeError, match="Celesta: maps of zennit-crp with 2 conditions a call"):
        crp.best_crp_maps(TWO, 1, (2,))


def test_the_quickest_way_by_the_median_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crp, "timed_ms", lambda side: side())
    taken_ms = {1: iter((5.0, 5.0, 5.0)), 2: iter((4.0, 90.0, 4.0)), 3: iter((1.0, 6.0, 6.0))}
    assert crp.quickest({key: partial(next, values) for key, values in taken_ms.items()}) == 2
