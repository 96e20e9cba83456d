"""Patches of a spectrogram, and their deletion to the noise floor.

Conventions: a window is scaled (`ml.melspec.scaled`), `(n_mels, n_frames)`: 1 is its loudest cell, 0 lies
`range_db` below. Patches are of `PATCH` x `PATCH` cells, beginning at the lowest band and the first frame;
those at the upper and the last edge may be smaller. What there is of each patch is `(n_rows, n_columns)`. A
patch is *active* when one of its cells is within `ACTIVE_DB` of the loudest.

Deleting means setting to the window's own noise floor, what can be heard where nothing plays: a hole of
digital silence in a recording with hiss would be a sound of its own. The floor of a band is the lowest decile
of the levels in it and the bands beside it, over all time, since a note that is held throughout still has
gaps above and below its partials; it is never above the level from which cells count as active.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.melspec import MelConfig
from ml.truth.stems import ACTIVE_DB

PATCH = 8
FLOOR_SHARE = 0.1  # of the cells near a band lie at or below its floor
FLOOR_BANDS = 8  # on either side; some 230 Hz below 1 kHz, a third of an octave above
FLOOR_STEPS = 400  # levels are told apart by 1 / 400 of the range, 0.2 dB


@dataclass(frozen=True)
class PatchedWindow:
    """A window with its patches, to be put in an order and deleted in it.

    An order is the rank of each patch, from 0, `(n_rows, n_columns)`; inactive ones come last.

    Attributes
    ----------
    cells : ndarray, shape (n_mels, n_frames)
        Scaled.
    floor : ndarray of float32, shape (n_mels,)
    active : ndarray of bool, shape (n_rows, n_columns)
    power : ndarray of float64, shape (n_rows, n_columns)
    """

    cells: NDArray[np.floating]
    floor: NDArray[np.float32]
    active: NDArray[np.bool_]
    power: NDArray[np.float64]

    @staticmethod
    def of(cells: NDArray[np.floating], mel: MelConfig) -> PatchedWindow:
        """Look at a scaled window, `(n_mels, n_frames)`."""
        return PatchedWindow(
            cells, noise_floor(cells, mel), active_patches(cells, mel), patch_power(cells, mel)
        )

    def by(self, values: NDArray[np.float64]) -> NDArray[np.int_]:
        """The order by falling value; equal ones from the lowest band and the first frame on."""
        order = np.argsort(np.where(self.active, -values, np.inf), axis=None, kind="stable")
        ranks = np.empty(self.active.size, dtype=np.int_)
        ranks[order] = np.arange(self.active.size)
        return ranks.reshape(self.active.shape)

    def by_power(self) -> NDArray[np.int_]:
        """The order that begins with the loudest."""
        return self.by(self.power)

    def drawn(self, n_random: int, rng: np.random.Generator) -> list[NDArray[np.int_]]:
        """Random orders."""
        return [self.by(rng.random(self.active.shape)) for _ in range(n_random)]

    def count(self, fraction: float) -> int:
        """How many patches a fraction of the active ones is, rounded up."""
        return int(np.ceil(fraction * self.active.sum() - 1e-9))

    def without(self, deleted: NDArray[np.bool_]) -> NDArray[np.floating]:
        """Variants without some active patches each; `deleted` is `(n_variants, n_rows, n_columns)`."""
        return without_patches(self.cells, self.floor, deleted & self.active)


def noise_floor(window: NDArray[np.floating], mel: MelConfig) -> NDArray[np.float32]:
    """The level of each band of a window where nothing plays.

    Parameters
    ----------
    window : ndarray, shape (n_mels, n_frames)
        Scaled.
    mel : MelConfig

    Returns
    -------
    ndarray of float32, shape (n_mels,)
        Scaled likewise.
    """
    n_mels = len(window)
    steps = np.rint(window * FLOOR_STEPS).astype(np.intp) + np.arange(n_mels)[:, None] * (FLOOR_STEPS + 1)
    counts = np.bincount(steps.ravel(), minlength=n_mels * (FLOOR_STEPS + 1)).reshape(n_mels, -1)
    padded = np.pad(counts, ((FLOOR_BANDS, FLOOR_BANDS), (0, 0)))
    nearby = np.lib.stride_tricks.sliding_window_view(padded, 2 * FLOOR_BANDS + 1, axis=0).sum(axis=-1)
    below = nearby.cumsum(axis=1)  # (n_mels, n_steps): cells near a band at or below each level
    floor = (below >= FLOOR_SHARE * below[:, -1:]).argmax(axis=1) / FLOOR_STEPS
    lowest: NDArray[np.float32] = np.minimum(floor, active_level(mel)).astype(np.float32)
    return lowest


def active_level(mel: MelConfig) -> float:
    """The scaled level from which a cell is active."""
    return max(0.0, 1.0 - ACTIVE_DB / mel.range_db)


def active_patches(window: NDArray[np.floating], mel: MelConfig) -> NDArray[np.bool_]:
    """Which patches of a window are active, `(n_rows, n_columns)`."""
    active = (window > 0.0) & (window >= active_level(mel))
    return patch_sums(active) > 0.0


def patch_sums(cells: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sums over patches.

    Parameters
    ----------
    cells : ndarray, shape (n_mels, n_frames)

    Returns
    -------
    ndarray of float64, shape (n_rows, n_columns)
        They add up to the sum of all cells.
    """
    rows, columns = (np.arange(0, size, PATCH) for size in cells.shape)
    of_rows = np.add.reduceat(cells, rows, axis=0, dtype=np.float64)
    sums: NDArray[np.float64] = np.add.reduceat(of_rows, columns, axis=1)
    return sums


def patch_power(window: NDArray[np.floating], mel: MelConfig) -> NDArray[np.float64]:
    """Power in each patch, `(n_rows, n_columns)`, re the loudest cell's."""
    level_db = (window.astype(np.float64) - 1.0) * mel.range_db
    return patch_sums(10.0 ** (level_db / 10.0))


def without_patches(
    window: NDArray[np.floating], floor: NDArray[np.floating], deleted: NDArray[np.bool_]
) -> NDArray[np.floating]:
    """Variants of a window, each without some patches.

    Parameters
    ----------
    window : ndarray, shape (n_mels, n_frames)
        Scaled.
    floor : ndarray, shape (n_mels,)
        What deleted cells are set to; cells below it stay.
    deleted : ndarray of bool, shape (n_variants, n_rows, n_columns)

    Returns
    -------
    ndarray, shape (n_variants, n_mels, n_frames)
        Of the window's type.
    """
    n_mels, n_frames = window.shape
    cells = deleted.repeat(PATCH, axis=1)[:, :n_mels].repeat(PATCH, axis=2)[:, :, :n_frames]
    quiet = np.minimum(window, floor[:, None])
    return np.where(cells, quiet, window).astype(window.dtype)
