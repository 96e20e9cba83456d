"""Pictures of spectrograms and relevance maps that a musician can read.

The frequency axis is logarithmic, in Hz, with a tick at every octave of A; time is in seconds. A map is laid
over the grey spectrogram: red speaks for the instrument, blue against it, the stronger the more opaque.
Colours saturate at the 99.9th percentile of the magnitudes of a map, or at `scale`, so that the maps of one
instrument's concepts can be compared with the whole map.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml.explanation import Spectrogram

WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 8.0, 4.0, 110
PLOT_AREA = (0.1, 0.13, 0.77, 0.78)  # left, bottom, width, height as shares of the picture
BAR_AREA = (0.885, 0.13, 0.022, 0.78)
PNG_COMPRESSION = 3  # of zlib's 1..9: a third of the time of 6 for a tenth more bytes
N_ROWS = 384  # rows of the log-frequency picture
TICKS_HZ = (55, 110, 220, 440, 880, 1760, 3520, 7040, 14080)
SHOWN_RANGE_DB = 80.0
SATURATION_PERCENTILE = 99.9
FAINTEST_OPACITY, STRONGEST_OPACITY = 0.0, 0.95
FOR_COLOUR, AGAINST_COLOUR = np.array([0.84, 0.09, 0.11]), np.array([0.13, 0.36, 0.75])


@dataclass(frozen=True)
class LogFrequencyGrid:
    """How mel bands become rows of a picture whose vertical axis is the logarithm of frequency.

    Attributes
    ----------
    lowest_hz, highest_hz : float
        Frequencies of the picture's lower and upper edge.
    rows : ndarray of float64, shape (N_ROWS,)
        For each row, from the bottom, the fractional index of the mel band at its frequency.
    """

    lowest_hz: float
    highest_hz: float
    rows: NDArray[np.float64]

    @staticmethod
    def of(frequencies_hz: NDArray[np.float32]) -> LogFrequencyGrid:
        """The grid from the lowest to the highest band's centre."""
        lowest_hz, highest_hz = float(frequencies_hz[0]), float(frequencies_hz[-1])
        row_hz = np.geomspace(lowest_hz, highest_hz, N_ROWS)
        return LogFrequencyGrid(
            lowest_hz, highest_hz, np.interp(row_hz, frequencies_hz, np.arange(len(frequencies_hz)))
        )

    def apply(self, bands: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate `(n_mels, n_frames)` to `(N_ROWS, n_frames)`."""
        lower = np.floor(self.rows).astype(int)
        upper = np.minimum(lower + 1, len(bands) - 1)
        weight = (self.rows - lower)[:, None]
        rows: NDArray[np.float32] = ((1.0 - weight) * bands[lower] + weight * bands[upper]).astype(np.float32)
        return rows

    def position(self, frequency_hz: float) -> float:
        """Height of a frequency, 0 at the bottom edge and 1 at the top."""
        return float(np.log(frequency_hz / self.lowest_hz) / np.log(self.highest_hz / self.lowest_hz))


def draw_spectrogram(spectrogram: Spectrogram, title: str) -> bytes:
    """Draw levels in grey.

    Parameters
    ----------
    spectrogram : Spectrogram
    title : str

    Returns
    -------
    bytes
        PNG.
    """
    figure, axes = _figure(title)
    grid = LogFrequencyGrid.of(spectrogram.frequencies_hz)
    grey = _grey(grid.apply(spectrogram.level_db))
    _show(axes, np.repeat(grey[..., None], 3, axis=2), spectrogram, grid)
    loudest_db = float(spectrogram.level_db.max())
    ramp = np.repeat(np.linspace(1.0, 0.0, 201)[:, None, None], 3, axis=2)  # white to black
    _bar(figure, ramp, (loudest_db - SHOWN_RANGE_DB, loudest_db), "level (dB)")
    return _png(figure)


def draw_map(
    spectrogram: Spectrogram, relevance: NDArray[np.float32], title: str, scale: float | None = None
) -> bytes:
    """Draw a relevance map over its spectrogram.

    Parameters
    ----------
    spectrogram : Spectrogram
    relevance : ndarray of float32, shape (n_mels, n_frames)
        Signed.
    title : str
    scale : float, optional
        Magnitude at which colours saturate; by default the map's own (`saturation`).

    Returns
    -------
    bytes
        PNG.
    """
    figure, axes = _figure(title)
    grid = LogFrequencyGrid.of(spectrogram.frequencies_hz)
    limit = scale if scale else saturation(relevance)
    strength = np.clip(grid.apply(relevance) / limit, -1.0, 1.0)  # (N_ROWS, n_frames), -1..1
    opacity = (STRONGEST_OPACITY * np.sqrt(np.abs(strength)))[..., None]
    colour = np.where(strength[..., None] >= 0.0, FOR_COLOUR, AGAINST_COLOUR)
    grey = (
        0.35 + 0.65 * _grey(grid.apply(spectrogram.level_db))[..., None]
    )  # paler, so that colours stand out
    blended = (1.0 - opacity) * grey + opacity * colour
    _show(axes, np.clip(blended, 0.0, 1.0), spectrogram, grid)  # rounding may leave 0..1 by 1e-8
    ramp_strength = np.linspace(-1.0, 1.0, 201)[:, None, None]
    ramp_opacity = STRONGEST_OPACITY * np.sqrt(np.abs(ramp_strength))
    ramp_colour = np.where(ramp_strength >= 0.0, FOR_COLOUR, AGAINST_COLOUR)
    ramp = (1.0 - ramp_opacity) + ramp_opacity * ramp_colour
    _bar(figure, ramp, (-limit, limit), "relevance (blue: against, red: for)")
    return _png(figure)


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


def _grey(level_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """White for silence, black for the loudest cell."""
    grey: NDArray[np.float32] = 1.0 - np.clip(1.0 + (level_db - level_db.max()) / SHOWN_RANGE_DB, 0.0, 1.0)
    return grey


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(PLOT_AREA)
    axes.set_title(title, fontsize=11)
    return figure, axes


def _show(
    axes: Axes, picture: NDArray[np.floating], spectrogram: Spectrogram, grid: LogFrequencyGrid
) -> None:
    times_s = spectrogram.times_s
    half_frame_s = float(times_s[1] - times_s[0]) / 2 if len(times_s) > 1 else 0.01
    extent = (float(times_s[0]) - half_frame_s, float(times_s[-1]) + half_frame_s, 0.0, 1.0)
    axes.imshow(picture, origin="lower", aspect="auto", extent=extent, interpolation="antialiased")
    ticks_hz = [hz for hz in TICKS_HZ if grid.lowest_hz <= hz <= grid.highest_hz]
    axes.set_yticks([grid.position(hz) for hz in ticks_hz], [f"{hz:,}" for hz in ticks_hz])
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)")
    axes.tick_params(labelsize=9)


def _bar(figure: Figure, ramp: NDArray[np.floating], ends: tuple[float, float], label: str) -> None:
    """A scale beside the plot: `ramp` `(n, 1, 3)` from the lower end to the upper."""
    axes = figure.add_axes(BAR_AREA)
    axes.imshow(ramp, origin="lower", aspect="auto", extent=(0.0, 1.0, *ends), interpolation="nearest")
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(label, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axes.yaxis.get_offset_text().set_fontsize(8)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        metadata={"Software": "Timbrescope"},
        pil_kwargs={"compress_level": PNG_COMPRESSION},
    )
    return buffer.getvalue()
