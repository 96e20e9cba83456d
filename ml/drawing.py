"""Pictures of spectrograms and relevance maps that a musician can read, as PNG.

The frequency axis is logarithmic, in Hz, with a tick at every octave of A; time is in seconds. A map is laid
over the grey spectrogram (`ml.pictures`), and below it runs its sum over all bands, the evidence over time.
All maps of one recording share their axes, which are most of the work: a `MapSheet` draws them once.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ml.explained import EvidenceTimeline, Spectrogram
from ml.pictures import (
    RELEVANCE,
    SHOWN_RANGE_DB,
    Canvas,
    LogFrequencyGrid,
    Palette,
    Picture,
    blend,
    saturation,
    strip,
)

WIDTH, HEIGHT, DOTS_PER_INCH = 880, 440, 110  # pixels
LEFT, TOP, N_COLUMNS = 88, 36, 676
MAP_ROWS, GAP_ROWS, STRIP_ROWS = 304, 6, 40  # from the top; a spectrogram alone takes all of them
BAR_LEFT, BAR_COLUMNS = 778, 18
TICKS_HZ = (55, 110, 220, 440, 880, 1760, 3520, 7040, 14080)
PNG_COMPRESSION = 3  # of zlib's 1..9: a third of the time of 6 for a tenth more bytes


@dataclass(frozen=True)
class MapScale:
    """Magnitudes at which colours and bars of maps end; one instrument's maps share them, to be compared.

    Attributes
    ----------
    cell, step : float
        Relevance of a cell, and of a step of the timeline.
    """

    cell: float
    step: float

    @staticmethod
    def of(relevance: NDArray[np.float32]) -> MapScale:
        """The scale that suits one map, `(n_mels, n_frames)`."""
        steps = EvidenceTimeline.of(relevance, 0.0, 1.0).evidence
        return MapScale(saturation(relevance), float(np.abs(steps).max()) or 1.0)


class MapSheet:
    """Draws any number of maps of one recording over its spectrogram.

    Parameters
    ----------
    spectrogram : Spectrogram
    palette : Palette
    label : str
        What the colours mean.
    signed : bool
        Whether there are negative cells; else the scale shows positive colours only.
    has_strip : bool
        Whether the sum over all bands runs below; its steps are too wide for what lasts only a moment.
    """

    def __init__(
        self,
        spectrogram: Spectrogram,
        palette: Palette = RELEVANCE,
        label: str = "relevance (blue: against, red: for)",
        *,
        signed: bool = True,
        has_strip: bool = True,
    ) -> None:
        n_rows = MAP_ROWS if has_strip else MAP_ROWS + GAP_ROWS + STRIP_ROWS
        self._canvas = Canvas.of(spectrogram, n_rows, N_COLUMNS)
        self._palette = palette
        self._has_strip = has_strip
        self._frame = _Frame(spectrogram, self._canvas.grid, n_rows, label, has_strip=has_strip)
        ramp = np.linspace(1.0, -1.0 if signed else 0.0, self._frame.n_rows, dtype=np.float32)
        paper = np.ones((self._frame.n_rows, BAR_COLUMNS, 1), dtype=np.float32)
        self._bar = blend(paper, np.repeat(ramp[:, None], BAR_COLUMNS, axis=1), palette)
        self._signed = signed

    def draw(self, cells: NDArray[np.float32], title: str, scale: MapScale | None = None) -> bytes:
        """Draw one map.

        Parameters
        ----------
        cells : ndarray of float32, shape (n_mels, n_frames)
            Signed relevance.
        title : str
        scale : MapScale, optional
            By default the map's own.

        Returns
        -------
        bytes
            PNG.
        """
        scale = scale or MapScale.of(cells)
        picture = self._canvas.over_levels(cells, scale.cell, self._palette)
        bars = None
        if self._has_strip:
            timeline = EvidenceTimeline.of(cells, 0.0, 1.0).evidence
            bars = strip(timeline, scale.step, STRIP_ROWS, N_COLUMNS, self._palette)
        ends = (
            (f"{scale.cell:.2g}", "0", f"{-scale.cell:.2g}")
            if self._signed
            else (f"{scale.cell:.2g}", "", "0")
        )
        return self._frame.filled(title, ends, picture, bars, self._bar)


def draw_map(
    spectrogram: Spectrogram,
    relevance: NDArray[np.float32],
    title: str,
    scale: MapScale | None = None,
    *,
    has_strip: bool = True,
) -> bytes:
    """Draw one relevance map over its spectrogram; see `MapSheet`."""
    return MapSheet(spectrogram, has_strip=has_strip).draw(relevance, title, scale)


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
    n_rows = MAP_ROWS + GAP_ROWS + STRIP_ROWS
    canvas = Canvas.of(spectrogram, n_rows, N_COLUMNS)
    frame = _Frame(spectrogram, canvas.grid, n_rows, "level (dB)", has_strip=False)
    ramp = np.linspace(0.0, 1.0, n_rows, dtype=np.float32)[:, None, None]  # black, the loudest, on top
    bar = np.broadcast_to(ramp, (n_rows, BAR_COLUMNS, 3))
    loudest_db = float(spectrogram.level_db.max())
    ends = tuple(f"{loudest_db - below:.0f}" for below in (0.0, SHOWN_RANGE_DB / 2, SHOWN_RANGE_DB))
    return frame.filled(title, ends, canvas.levels(), None, bar)


class _Frame:
    """What all pictures of a kind share: axes, ticks, labels. Pixels and words are put in afterwards."""

    def __init__(
        self, spectrogram: Spectrogram, grid: LogFrequencyGrid, n_rows: int, label: str, *, has_strip: bool
    ) -> None:
        self.n_rows = MAP_ROWS + GAP_ROWS + STRIP_ROWS
        self._figure = Figure(figsize=(WIDTH / DOTS_PER_INCH, HEIGHT / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
        self._agg = cast(Any, FigureCanvasAgg(self._figure))  # matplotlib's canvases are not typed
        plot = self._axes(TOP, n_rows, LEFT, N_COLUMNS)
        ticks_hz = [hz for hz in TICKS_HZ if grid.lowest_hz <= hz <= grid.highest_hz]
        plot.set_yticks([grid.position(hz) for hz in ticks_hz], [f"{hz:,}" for hz in ticks_hz])
        plot.set_ylabel("frequency (Hz)")
        lowest = plot
        if has_strip:
            plot.set_xticks([])
            lowest = self._axes(TOP + MAP_ROWS + GAP_ROWS, STRIP_ROWS, LEFT, N_COLUMNS)
            lowest.set_yticks([0.5], ["sum"])
        times_s = spectrogram.times_s
        half_frame_s = float(times_s[1] - times_s[0]) / 2 if len(times_s) > 1 else 0.01
        lowest.set_xlim(float(times_s[0]) - half_frame_s, float(times_s[-1]) + half_frame_s)
        lowest.set_xlabel("time (s)")
        bar = self._axes(TOP, self.n_rows, BAR_LEFT, BAR_COLUMNS)
        bar.set_xticks([])
        bar.set_yticks([])
        self._figure.text((WIDTH - 12) / WIDTH, 0.5, label, rotation=90, ha="right", va="center", fontsize=8)
        self._title = self._figure.text(
            (LEFT + N_COLUMNS / 2) / WIDTH, 1.0 - 24 / HEIGHT, "", ha="center", fontsize=11, animated=True
        )
        x = (BAR_LEFT + BAR_COLUMNS + 4) / WIDTH
        self._ends = [
            self._figure.text(
                x, 1.0 - (TOP + share * self.n_rows) / HEIGHT, "", va=where, fontsize=8, animated=True
            )
            for share, where in ((0.0, "top"), (0.5, "center"), (1.0, "bottom"))
        ]
        self._agg.draw()
        self._empty = self._agg.copy_from_bbox(self._figure.bbox)

    def _axes(self, top: int, n_rows: int, left: int, n_columns: int) -> Axes:
        """Axes whose inside is given in pixels."""
        bottom = HEIGHT - top - n_rows
        axes = self._figure.add_axes((left / WIDTH, bottom / HEIGHT, n_columns / WIDTH, n_rows / HEIGHT))
        axes.tick_params(labelsize=9)
        return axes

    def filled(
        self, title: str, ends: tuple[str, ...], picture: Picture, bars: Picture | None, bar: Picture
    ) -> bytes:
        """The frame with its pictures, its title and the ends of its scale, as PNG."""
        self._agg.restore_region(self._empty)
        for text, words in zip((self._title, *self._ends), (title, *ends), strict=True):
            text.set_text(words)
            self._figure.draw_artist(text)
        pixels = np.array(self._agg.buffer_rgba())[..., :3]
        put(pixels, picture, TOP, LEFT)
        put(pixels, bar, TOP, BAR_LEFT)
        if bars is not None:
            put(pixels, bars, TOP + MAP_ROWS + GAP_ROWS, LEFT)
        return png(pixels)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels `(n_rows, n_columns, 3)` as PNG."""
    buffer = io.BytesIO()
    about = PngInfo()
    about.add_text("Software", "Timbrescope")
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        buffer, format="png", compress_level=PNG_COMPRESSION, pnginfo=about
    )
    return buffer.getvalue()


def put(pixels: NDArray[np.uint8], picture: Picture, top: int, left: int) -> None:
    """Lay a picture into pixels, inside the line of its axes."""
    n_rows, n_columns = picture.shape[:2]
    inside = np.rint(picture[1:-1, 1:-1] * 255.0).astype(np.uint8)
    pixels[top + 1 : top + n_rows - 1, left + 1 : left + n_columns - 1] = inside
