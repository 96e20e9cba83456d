"""Shapley values: the definition over all orders, the axioms, and the mixes that are heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from ml.classification import listen
from ml.errors import InvalidRequestError
from ml.melspec import level_db, reference_levels, scaled
from ml.model import Model
from ml.truth.shapley import (
    MAX_PLAYERS,
    hear_coalitions,
    shapley_correlation,
    shapley_of,
    shapley_values,
)
from ml.truth.stems import Stem, mix_samples
from ml.windows import cut_windows, window_levels
from tests.reference import truth as slow
from tests.unit.ml.truth.sounds import LENGTH_S, burst, noise, recording, silent

FLOAT32_LOGITS = 1e-3  # the same sounds added up in another order
games = st.integers(1, 4).flatmap(
    lambda n: st_numpy.arrays(np.float64, 2**n, elements=st.floats(-100, 100, width=32))
)


def by_players(values: NDArray[np.float64]) -> slow.Value:
    return lambda present: float(values[sum(1 << player for player in present)])


@given(games)
def test_values_are_the_means_over_all_orders(values: NDArray[np.float64]) -> None:
    n_players = len(values).bit_length() - 1
    np.testing.assert_allclose(shapley_of(values), slow.shapley(n_players, by_players(values)), atol=1e-9)


@given(games)
def test_values_add_up_to_what_all_are_worth(values: NDArray[np.float64]) -> None:
    assert shapley_of(values).sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


@given(st_numpy.arrays(np.float64, 8, elements=st.floats(-100, 100, width=32)), st.floats(-5, 5))
def test_who_adds_the_same_to_all_gets_that(values: NDArray[np.float64], worth: float) -> None:
    with_fourth = np.concatenate([values, values + worth])
    found = shapley_of(with_fourth)
    assert found[3] == pytest.approx(worth, abs=1e-9)
    np.testing.assert_allclose(found[:3], shapley_of(values), atol=1e-9)


def test_several_games_are_solved_at_once(rng: np.random.Generator) -> None:
    values = rng.normal(size=(8, 5))
    found = shapley_of(values)
    for game in range(5):
        np.testing.assert_allclose(found[:, game], shapley_of(values[:, game]))


def test_logits_of_mixes_are_those_of_the_definition(listener: Model, together: tuple[Stem, ...]) -> None:
    mix = mix_samples(together)
    windows = cut_windows(LENGTH_S, listener.mel)

    def value(present: frozenset[int]) -> float:
        samples = np.zeros_like(mix)
        for place in present:
            samples = samples + together[place].recording.samples
        whole = window_levels(level_db(mix, listener.mel), windows)
        part = window_levels(level_db(samples, listener.mel), windows)
        kept = reference_levels(whole, listener.mel)
        return float(listener.logits(scaled(part, listener.mel, kept))[:, 1].mean())

    found = shapley_values(listener, together)
    assert found.shape == (3, len(listener.card.labels))
    np.testing.assert_allclose(found[:, 1], slow.shapley(3, value), atol=FLOAT32_LOGITS)
    assert np.abs(found[:, 1]).max() > 100 * FLOAT32_LOGITS


def test_values_add_up_to_the_difference_of_logits(listener: Model, together: tuple[Stem, ...]) -> None:
    heard = listen(listener, recording(mix_samples(together)))
    nothing = listener.logits(np.zeros_like(heard.inputs))
    found = shapley_values(listener, together)
    expected = (heard.logits - nothing).mean(axis=0)
    np.testing.assert_allclose(found.sum(axis=0), expected, atol=FLOAT32_LOGITS)


def test_a_stem_that_is_silent_does_nothing_and_does_not_change_the_others(
    listener: Model, together: tuple[Stem, ...]
) -> None:
    found = shapley_values(listener, [*together, silent("D")])
    np.testing.assert_allclose(found[3], 0.0, atol=1e-9)
    np.testing.assert_allclose(found[:3], shapley_values(listener, together), atol=FLOAT32_LOGITS)


def test_what_belongs_to_no_stem_is_always_there(listener: Model, together: tuple[Stem, ...]) -> None:
    residual = recording(noise(0.05, 8))
    coalitions = hear_coalitions(listener, together, residual)
    whole = mix_samples(together, residual)
    windows = cut_windows(LENGTH_S, listener.mel)
    kept = reference_levels(window_levels(level_db(whole, listener.mel), windows), listener.mel)
    alone = window_levels(level_db(residual.samples, listener.mel), windows)
    expected = listener.logits(scaled(alone, listener.mel, kept)).mean(axis=0)
    np.testing.assert_allclose(coalitions.logits[0], expected, atol=FLOAT32_LOGITS)
    np.testing.assert_allclose(
        coalitions.logits[-1], listen(listener, recording(whole)).logits.mean(axis=0), atol=FLOAT32_LOGITS
    )


def test_only_windows_in_which_the_mix_sounds_count(listener: Model) -> None:
    early = Stem("A", recording(np.concatenate([noise(0.1, 1), np.zeros(9 * 44_100)])))  # 10.5 s
    found = hear_coalitions(listener, [early])
    heard = listen(listener, early.recording)
    assert heard.silent.tolist() == [False, True, True, True]
    np.testing.assert_allclose(found.logits[1], heard.logits[0], atol=FLOAT32_LOGITS)


def test_silence_is_worth_nothing(listener: Model) -> None:
    assert not shapley_values(listener, [silent("A"), silent("B")]).any()


def test_stems_of_one_instrument_are_one_player_and_mixes_are_counted(
    listener: Model, together: tuple[Stem, ...]
) -> None:
    counted: list[int] = []
    coalitions = hear_coalitions(listener, [*together, burst("B", 1.2, 1.4, 0.1)], on_mix=counted.append)
    assert coalitions.instruments == ("A", "B", "C")
    assert sum(counted) == len(coalitions.logits) == 8


def test_too_many_players_are_refused(listener: Model) -> None:
    with pytest.raises(InvalidRequestError, match=rf"{MAX_PLAYERS + 1} stems would take 512 mixes"):
        shapley_values(listener, [silent(str(number)) for number in range(MAX_PLAYERS + 1)])


def test_the_correlation_is_pearsons_over_all_stems(rng: np.random.Generator) -> None:
    relevance, values = rng.normal(size=20), rng.normal(size=20)
    assert shapley_correlation(relevance, values) == pytest.approx(slow.correlation(relevance, values))
    assert shapley_correlation(values, 3 * values + 2) == pytest.approx(1.0)
    # Two clips, each of them perfectly correlated on its own, disagree about how much a stem matters.
    first, second = np.array([0.9, 0.1]), np.array([0.5, 0.4])
    pooled = shapley_correlation(np.concatenate([first, second]), np.array([1.0, 0.0, 9.0, 8.0]))
    assert pooled < 0.5


@pytest.mark.parametrize("n_values", [0, 1, 3])
def test_a_correlation_that_does_not_exist_is_nan(n_values: int) -> None:
    assert np.isnan(shapley_correlation(np.full(n_values, 0.3), np.arange(n_values, dtype=float)))
