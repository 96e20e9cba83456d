"""Truth scores again, slower and less complicated: one cell, one patch, one order of stems at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml.melspec import SILENCE_DB
from ml.truth.stems import StemTruth

Value = Callable[[frozenset[int]], float]


def shares(power: NDArray[np.float64], rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Who owns what share of each cell."""
    found = np.zeros_like(power)
    for j, f, t in np.ndindex(power.shape):
        total = sum(power[k, f, t] for k in range(len(power))) + rest[f, t]
        found[j, f, t] = power[j, f, t] / total if total > 0 else 0.0
    return found


def active(mix_db: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Cells within 60 dB of the loudest."""
    found = np.zeros(mix_db.shape, dtype=bool)
    loudest = max(float(level) for level in mix_db.ravel())
    for f, t in np.ndindex(mix_db.shape):
        found[f, t] = mix_db[f, t] > SILENCE_DB and float(mix_db[f, t]) >= loudest - 60.0
    return found


def truth_of(
    power: NDArray[np.float64], rest: NDArray[np.float64], is_active: NDArray[np.bool_]
) -> StemTruth:
    """A truth made of numbers instead of sound; its stems are A, B, ..."""
    energy = [
        sum(power[j, f, t] for f, t in np.ndindex(is_active.shape) if is_active[f, t])
        for j in range(len(power))
    ]
    all_energy = sum(energy) + sum(rest[f, t] for f, t in np.ndindex(is_active.shape) if is_active[f, t])
    return StemTruth(
        instruments=tuple("ABCDEFGH"[: len(power)]),
        power=power,
        rest_power=rest,
        shares=shares(power, rest),
        active=is_active,
        energy_shares=np.array([part / all_energy if all_energy > 0 else 0.0 for part in energy]),
    )


def mass_accuracy(relevance: NDArray[np.float64], truth: StemTruth, own: int) -> float:
    right = everything = 0.0
    for f, t in np.ndindex(relevance.shape):
        if relevance[f, t] > 0:
            everything += float(relevance[f, t])
            if truth.active[f, t]:
                right += float(relevance[f, t] * truth.shares[own, f, t])
    return right / everything if everything > 0 else 0.0


def points_right(relevance: NDArray[np.float64], truth: StemTruth, own: int) -> bool:
    best, place = 0.0, None
    for f, t in np.ndindex(relevance.shape):
        if relevance[f, t] > best:
            best, place = float(relevance[f, t]), (f, t)
    if place is None or not truth.active[place]:
        return False
    owned = [float(power[place]) for power in truth.power] + [float(truth.rest_power[place])]
    return owned[own] > 0 and all(owned[own] > owned[j] for j in range(len(owned)) if j != own)


def rank_accuracy(relevance: NDArray[np.float64], truth: StemTruth, own: int) -> float | None:
    cells = list(np.ndindex(relevance.shape))
    true = {cell for cell in cells if truth.active[cell] and truth.shares[own][cell] > 0.5}
    first = sorted(cells, key=lambda cell: -relevance[cell])[: len(true)]
    hits = sum(1 for cell in first if relevance[cell] > 0 and cell in true)
    return hits / len(true) if true else None


def stem_relevance(relevance: NDArray[np.float64], truth: StemTruth) -> list[float]:
    magnitude = sum(abs(relevance[cell]) for cell in np.ndindex(relevance.shape))
    return [
        sum(
            relevance[cell] * share[cell] / magnitude
            for cell in np.ndindex(relevance.shape)
            if truth.active[cell] and magnitude > 0
        )
        for share in truth.shares
    ]


def rest_relevance(relevance: NDArray[np.float64], truth: StemTruth) -> float:
    """The same of what belongs to no stem."""
    magnitude = sum(abs(relevance[cell]) for cell in np.ndindex(relevance.shape))
    found = 0.0
    for cell in np.ndindex(relevance.shape):
        total = sum(float(power[cell]) for power in truth.power) + float(truth.rest_power[cell])
        if truth.active[cell] and total > 0 and magnitude > 0:
            found += float(relevance[cell] * truth.rest_power[cell] / total / magnitude)
    return found


def lies_on_own_stem(relevance: NDArray[np.float64], truth: StemTruth, own: int) -> bool:
    """More than on any other stem, and more than on what belongs to none."""
    found = [*stem_relevance(relevance, truth), rest_relevance(relevance, truth)]
    return found[own] > 0 and all(found[own] > found[j] for j in range(len(found)) if j != own)


def time_overlap(relevance: NDArray[np.float64], truth: StemTruth, own: int) -> float:
    n_frames = relevance.shape[1]
    power = [sum(truth.power[own][:, t]) for t in range(n_frames)]
    sounding = [p > 0 and p >= max(power) / 1_000 for p in power]
    mass = [sum(max(0.0, value) for value in relevance[:, t]) for t in range(n_frames)]
    inside = sum(m for m, sounds in zip(mass, sounding, strict=True) if sounds)
    return inside / sum(mass) if sum(mass) > 0 else 0.0


def shapley(n_players: int, value: Value) -> list[float]:
    """The mean over all orders of what each player adds when it enters."""
    added = [0.0] * n_players
    for order in itertools.permutations(range(n_players)):
        present: frozenset[int] = frozenset()
        for player in order:
            added[player] += value(present | {player}) - value(present)
            present |= {player}
    return [total / math.factorial(n_players) for total in added]


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    n = len(a)
    mean_a, mean_b = float(sum(a)) / n, float(sum(b)) / n
    covariance = float(sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)))
    spread_a = float(sum((x - mean_a) ** 2 for x in a))
    spread_b = float(sum((y - mean_b) ** 2 for y in b))
    return covariance / math.sqrt(spread_a * spread_b)


def patch_cells(shape: tuple[int, int], row: int, column: int) -> list[tuple[int, int]]:
    """The cells of one 8x8 patch."""
    return [
        (f, t)
        for f in range(8 * row, min(8 * row + 8, shape[0]))
        for t in range(8 * column, min(8 * column + 8, shape[1]))
    ]


def most_relevant(
    relevance: NDArray[np.floating], window: NDArray[np.floating], fraction: float
) -> list[tuple[int, int]]:
    """The patches, among those with a cell within 60 of 80 dB of the peak, with the largest sums."""
    n_rows, n_columns = math.ceil(window.shape[0] / 8), math.ceil(window.shape[1] / 8)
    sums = {}
    for row, column in itertools.product(range(n_rows), range(n_columns)):
        cells = patch_cells((window.shape[0], window.shape[1]), row, column)
        if any(window[cell] >= 0.25 for cell in cells):
            sums[row, column] = sum(float(relevance[cell]) for cell in cells)
    return sorted(sums, key=lambda patch: -sums[patch])[: math.ceil(fraction * len(sums))]
