"""Patches: sums, activity, noise floor, deletion, each against loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.melspec import level_db, scaled
from ml.truth.patches import (
    FLOOR_BANDS,
    FLOOR_STEPS,
    PatchedWindow,
    active_level,
    active_patches,
    noise_floor,
    patch_power,
    patch_sums,
    without_patches,
)
from tests.reference import truth as slow
from tests.unit.ml.truth.sounds import MEL, RATE, noise

sizes = st.tuples(st.integers(1, 20), st.integers(1, 20))
seeds = st.integers(0, 2**32 - 1)


@given(sizes, seeds)
def test_sums_are_those_of_the_cells(shape: tuple[int, int], seed: int) -> None:
    cells = np.random.default_rng(seed).normal(size=shape)
    sums = patch_sums(cells)
    assert sums.shape == (-(-shape[0] // 8), -(-shape[1] // 8))
    for row, column in np.ndindex(sums.shape):
        expected = sum(cells[cell] for cell in slow.patch_cells(shape, row, column))
        assert sums[row, column] == pytest.approx(expected, abs=1e-9)


@given(sizes, seeds)
def test_a_patch_is_active_when_one_of_its_cells_is(shape: tuple[int, int], seed: int) -> None:
    window = np.random.default_rng(seed).beta(0.2, 2.0, size=shape)  # mostly quiet
    active = active_patches(window, MEL)
    for row, column in np.ndindex(active.shape):
        cells = slow.patch_cells(shape, row, column)
        assert active[row, column] == any(window[cell] >= 0.25 for cell in cells)


def test_silence_is_never_active() -> None:
    assert not active_patches(np.zeros((16, 16)), MEL).any()
    assert active_level(MEL) == 0.25  # 60 of 80 dB below the loudest


@given(sizes, seeds)
def test_deleted_patches_are_at_the_floor_and_all_else_is_as_it_was(
    shape: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    window, floor = rng.random(shape), rng.random(shape[0]) * 0.25
    deleted = rng.random((3, *patch_sums(window).shape)) < 0.5
    variants = without_patches(window, floor, deleted)
    for variant, chosen in zip(variants, deleted, strict=True):
        for cell in np.ndindex(shape):
            gone = chosen[cell[0] // 8, cell[1] // 8]
            assert variant[cell] == (min(window[cell], floor[cell[0]]) if gone else window[cell])


def test_the_floor_is_the_lowest_decile_nearby(rng: np.random.Generator) -> None:
    window = rng.random((40, 50)) * 0.05 + rng.random((40, 1)) ** 2 * 0.3  # each band has its own
    found = noise_floor(window, MEL)
    for band in range(40):
        nearby = window[max(0, band - FLOOR_BANDS) : band + FLOOR_BANDS + 1]
        expected = np.percentile(nearby, 10.0, method="inverted_cdf")
        assert found[band] == pytest.approx(min(expected, 0.25), abs=0.51 / FLOOR_STEPS)


def test_the_floor_is_silence_between_notes_and_hiss_in_a_recording_with_hiss() -> None:
    seconds = np.arange(2 * RATE) / RATE
    held = [0.1 * np.sin(2 * np.pi * hz * seconds) for hz in (440.0, 880.0, 1320.0)]
    tones = np.sum(held, axis=0)
    clean = scaled(level_db(tones.astype(np.float32), MEL), MEL)
    assert noise_floor(clean, MEL)[64:].max() == 0.0
    hiss = noise(1e-3, length_s=2.0)
    noisy = scaled(level_db((tones + hiss).astype(np.float32), MEL), MEL)
    top = slice(64, 128)  # bands that hold no tone
    found = noise_floor(noisy, MEL)[top]
    assert (found > 0.02).all()
    assert (found <= np.median(noisy[top], axis=1)).all()
    loud = scaled(level_db((tones + 100 * hiss).astype(np.float32), MEL), MEL)
    assert noise_floor(loud, MEL).max() == active_level(MEL)  # deleting always takes what is active away


def test_orders_hold_each_patch_once_and_inactive_ones_last(rng: np.random.Generator) -> None:
    window = rng.beta(0.2, 4.0, size=(40, 64))
    window[:16, :16] = 0.0
    patched = PatchedWindow.of(window, MEL)
    n_active = patched.active.sum()
    assert 0 < n_active < patched.active.size
    for order in (patched.by(rng.normal(size=patched.active.shape)), *patched.drawn(3, rng)):
        assert sorted(order.ravel()) == list(range(order.size))
        assert order[patched.active].max() == n_active - 1
    assert patched.count(1.0) == n_active
    assert patched.count(0.0) == 0
    power = patch_power(window, MEL)
    loudest = np.unravel_index(patched.by_power().argmin(), power.shape)
    assert power[loudest] == power.max()


def test_power_is_that_of_the_cells() -> None:
    window = np.array([[1.0, 0.75], [0.5, 0.0]])  # 0, -20, -40, -80 dB
    assert patch_power(window, MEL)[0, 0] == pytest.approx(1.0 + 1e-2 + 1e-4 + 1e-8)
