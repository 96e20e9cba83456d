"""Pictures as arrays: levels in grey, relevance over them, evidence over time.

Conventions: a picture is `(n_rows, n_columns, 3)`, the top row first; its vertical axis is the logarithm of
frequency. Nothing here knows of axes or files: pixels are computed at the size at which they are shown, in
the colours of `ml.colours`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.colours import N_SHADES, RELEVANCE, Palette, Picture, coloured, greys, tones
from ml.explained import Spectrogram

SHOWN_RANGE_DB = 80.0
SATURATION_PERCENTILE = 99.9
_BLOCK_ROWS = 48  # coloured at once: all steps of it then find their pixels in the cache


@dataclass(frozen=True)
class LogFrequencyGrid:
    """How mel bands become rows of a picture whose vertical axis is the logarithm of frequency.

    Attributes
    ----------
    lowest_hz, highest_hz : float
        Frequencies of the picture's lower and upper edge.
    rows : ndarray of float64, shape (n_rows,)
        For each row, from the bottom, the fractional index of the mel band at its frequency.
    """

    lowest_hz: float
    highest_hz: float
    rows: NDArray[np.float64]

    @staticmethod
    def of(frequencies_hz: NDArray[np.float32], n_rows: int) -> LogFrequencyGrid:
        """The grid from the lowest to the highest band's centre."""
        lowest_hz, highest_hz = float(frequencies_hz[0]), float(frequencies_hz[-1])
        row_hz = np.geomspace(lowest_hz, highest_hz, n_rows)
        return LogFrequencyGrid(
            lowest_hz, highest_hz, np.interp(row_hz, frequencies_hz, np.arange(len(frequencies_hz)))
        )

    def apply(self, bands: NDArray[np.float32], rows: slice = slice(None)) -> NDArray[np.float32]:
        """Interpolate `(n_mels, n_frames)` to `(n_rows, n_frames)` or some of them, the lowest first."""
        return _interpolated(bands, self.rows[rows], axis=0)

    def position(self, frequency_hz: float) -> float:
        """Height of a frequency, 0 at the bottom edge and 1 at the top."""
        return float(np.log(frequency_hz / self.lowest_hz) / np.log(self.highest_hz / self.lowest_hz))

    def heights(self, frequencies_hz: Iterable[int]) -> dict[int, float]:
        """The positions of those frequencies that lie on the grid."""
        return {hz: self.position(hz) for hz in frequencies_hz if self.lowest_hz <= hz <= self.highest_hz}


@dataclass(frozen=True)
class Canvas:
    """The size at which a spectrogram and its maps are shown.

    Attributes
    ----------
    grid : LogFrequencyGrid
    n_columns : int
    shade : ndarray of float32, shape (n_rows, n_columns)
        The spectrogram in whole shades of grey, from 0, the loudest cell, to 255, silence; lowest frequency
        first.
    """

    grid: LogFrequencyGrid
    n_columns: int
    shade: NDArray[np.float32]

    @staticmethod
    def of(spectrogram: Spectrogram, n_rows: int, n_columns: int) -> Canvas:
        """Lay a spectrogram out."""
        grid = LogFrequencyGrid.of(spectrogram.frequencies_hz, n_rows)
        level_db = spectrogram.level_db
        white = 1.0 - np.clip(1.0 + (level_db - level_db.max()) / SHOWN_RANGE_DB, 0.0, 1.0)
        shade = grid.apply(columns(white, n_columns)) * np.float32(N_SHADES - 1)
        return Canvas(grid, n_columns, np.rint(shade, out=shade))

    def levels(self) -> Picture:
        """The spectrogram alone."""
        return greys(self.shade)[::-1]

    def over_levels(self, cells: NDArray[np.float32], limit: float, palette: Palette = RELEVANCE) -> Picture:
        """Lay signed cells over the spectrogram.

        Parameters
        ----------
        cells : ndarray of float32, shape (n_mels, n_frames)
        limit : float
            Magnitude at which colours saturate.
        palette : Palette
        """
        strength = columns(cells, self.n_columns)
        strength *= np.float32(1.0 / limit)
        picture = np.empty((*self.shade.shape, 3), dtype=np.uint8)
        for first in range(0, len(picture), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            picture[block] = coloured(self.shade[block], self.grid.apply(strength, block), palette)
        return picture[::-1]


def strip(
    evidence: NDArray[np.floating],
    limit: float,
    n_rows: int,
    n_columns: int,
    palette: Palette = RELEVANCE,
) -> Picture:
    """Evidence over time as bars: up what is positive, down what is negative.

    Parameters
    ----------
    evidence : ndarray, shape (n_steps,)
    limit : float
        Magnitude of a bar of full height.
    n_rows, n_columns : int
    palette : Palette
    """
    steps = np.arange(n_columns) * len(evidence) // n_columns
    heights = np.clip(evidence / limit, -1.0, 1.0)[steps]  # (n_columns,)
    levels = 1.0 - (2.0 * np.arange(n_rows) + 1.0) / n_rows  # of each row, 1 at the top, -1 at the bottom
    colours = np.ones((n_rows, n_columns, 3), dtype=np.float32)
    for sign, colour in ((1.0, palette.positive), (-1.0, palette.negative)):
        bars = (sign * levels[:, None] > 0.0) & (sign * levels[:, None] < sign * heights)
        colours[bars] = colour
    colours[n_rows // 2] *= 0.75  # the line of zero
    return tones(colours)


def columns(cells: NDArray[np.float32], n_columns: int) -> NDArray[np.float32]:
    """Frames as columns of a picture: means where there are more frames than columns, else interpolated.

    Parameters
    ----------
    cells : ndarray of float32, shape (n_mels, n_frames)

    Returns
    -------
    ndarray of float32, shape (n_mels, n_columns)
    """
    n_frames = cells.shape[1]
    if n_frames <= n_columns:
        places = np.clip((np.arange(n_columns) + 0.5) * n_frames / n_columns - 0.5, 0.0, n_frames - 1.0)
        return _interpolated(cells, places, axis=1)
    edges = np.arange(n_columns + 1) * n_frames // n_columns
    means: NDArray[np.float32] = np.add.reduceat(cells, edges[:-1], axis=1) / np.diff(edges)
    return means.astype(np.float32)


def saturation(relevance: NDArray[np.float32]) -> float:
    """Magnitude at which a map's colours saturate.

    Parameters
    ----------
    relevance : ndarray of float32, shape (n_mels, n_frames)

    Returns
    -------
    float
        The `SATURATION_PERCENTILE` of the magnitudes; 1 where that is zero.
    """
    return float(np.percentile(np.abs(relevance), SATURATION_PERCENTILE)) or 1.0


def _interpolated(
    cells: NDArray[np.float32], places: NDArray[np.float64], axis: Literal[0, 1]
) -> NDArray[np.float32]:
    """Rows, or columns, at fractional places, as many as there are places."""
    lower = np.floor(places).astype(np.intp)
    upper = np.minimum(lower + 1, cells.shape[axis] - 1)
    weight = np.expand_dims((places - lower).astype(np.float32), 1 - axis)
    below: NDArray[np.float32] = cells.take(lower, axis)
    between: NDArray[np.float32] = cells.take(upper, axis)
    between -= below
    between *= weight
    between += below
    return between
