"""Pictures as arrays: levels in grey, relevance over them, evidence over time.

Conventions: a picture is `(n_rows, n_columns, 3)`, 0..1, the top row first; its vertical axis is the
logarithm of frequency. Red speaks for the instrument, blue against it, the stronger the more opaque. Nothing
here knows of figures or files: pixels are computed at the size at which they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.explained import Spectrogram

SHOWN_RANGE_DB = 80.0
SATURATION_PERCENTILE = 99.9
STRONGEST_OPACITY = 0.95
PALEST = 0.35  # of the grey below relevance, so that colours stand out

Colour = tuple[float, float, float]
Picture = NDArray[np.float32]  # (n_rows, n_columns, 3)


@dataclass(frozen=True)
class Palette:
    """Colours of what is positive and of what is negative."""

    positive: Colour
    negative: Colour


RELEVANCE = Palette((0.84, 0.09, 0.11), (0.13, 0.36, 0.75))
TRUTH = Palette((0.05, 0.53, 0.28), (0.13, 0.36, 0.75))


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

    def apply(self, bands: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate `(n_mels, n_frames)` to `(n_rows, n_frames)`, lowest frequency first."""
        return _interpolated(bands, self.rows)

    def position(self, frequency_hz: float) -> float:
        """Height of a frequency, 0 at the bottom edge and 1 at the top."""
        return float(np.log(frequency_hz / self.lowest_hz) / np.log(self.highest_hz / self.lowest_hz))


@dataclass(frozen=True)
class Canvas:
    """The size at which a spectrogram and its maps are shown.

    Attributes
    ----------
    grid : LogFrequencyGrid
    n_columns : int
    grey : ndarray of float32, shape (n_rows, n_columns, 1)
        The spectrogram: white for silence, black for the loudest cell; lowest frequency first.
    """

    grid: LogFrequencyGrid
    n_columns: int
    grey: NDArray[np.float32]

    @staticmethod
    def of(spectrogram: Spectrogram, n_rows: int, n_columns: int) -> Canvas:
        """Lay a spectrogram out."""
        grid = LogFrequencyGrid.of(spectrogram.frequencies_hz, n_rows)
        level_db = spectrogram.level_db
        white = 1.0 - np.clip(1.0 + (level_db - level_db.max()) / SHOWN_RANGE_DB, 0.0, 1.0)
        return Canvas(grid, n_columns, grid.apply(columns(white, n_columns))[..., None])

    def levels(self) -> Picture:
        """The spectrogram alone."""
        return np.repeat(self.grey[::-1], 3, axis=2)

    def over_levels(self, cells: NDArray[np.float32], limit: float, palette: Palette = RELEVANCE) -> Picture:
        """Lay signed cells over the spectrogram.

        Parameters
        ----------
        cells : ndarray of float32, shape (n_mels, n_frames)
        limit : float
            Magnitude at which colours saturate.
        palette : Palette
        """
        strength = self.grid.apply(columns(cells, self.n_columns)) / np.float32(limit)
        return blend(PALEST + (1.0 - PALEST) * self.grey, strength, palette)[::-1]


def blend(below: NDArray[np.float32], strength: NDArray[np.float32], palette: Palette) -> Picture:
    """Colours over what lies below them.

    Parameters
    ----------
    below : ndarray of float32, shape (n_rows, n_columns, 1)
    strength : ndarray of float32, shape (n_rows, n_columns)
        Clipped to -1..1; its root is the opacity, so that faint relevance can be seen.
    palette : Palette
    """
    opacity = STRONGEST_OPACITY * np.sqrt(np.minimum(np.abs(strength), 1.0))
    speaks_for = strength >= 0.0
    picture: Picture = np.empty((*strength.shape, 3), dtype=np.float32)
    for channel, (positive, negative) in enumerate(zip(palette.positive, palette.negative, strict=True)):
        ink = np.where(speaks_for, np.float32(positive), np.float32(negative))
        picture[..., channel] = below[..., 0] + opacity * (ink - below[..., 0])
    return picture


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
    picture: Picture = np.ones((n_rows, n_columns, 3), dtype=np.float32)
    for sign, colour in ((1.0, palette.positive), (-1.0, palette.negative)):
        bars = (sign * levels[:, None] > 0.0) & (sign * levels[:, None] < sign * heights)
        picture[bars] = colour
    picture[n_rows // 2] *= 0.75  # the line of zero
    return picture


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
        return np.ascontiguousarray(_interpolated(cells.T, places).T)
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


def _interpolated(rows: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows at fractional places, `(len(places), ...)`."""
    lower = np.floor(places).astype(np.intp)
    upper = np.minimum(lower + 1, len(rows) - 1)
    weight = (places - lower).astype(np.float32)[:, None]
    between: NDArray[np.float32] = rows[lower] + weight * (rows[upper] - rows[lower])
    return between
