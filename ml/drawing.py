"""Pictures of spectrograms and relevance maps that a musician can read, as PNG.

The frequency axis is logarithmic, in Hz, with a tick at every octave of A; time is in seconds. A map is laid
over the grey spectrogram (`ml.pictures`), and below it runs its sum over all bands, the evidence over time.
All maps of one recording share their axes and the spectrogram: a `MapSheet` draws them once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.axes import TimeTicks, frequency_axis, labelled_tick, time_axis
from ml.colours import RELEVANCE, Palette, Picture, blend, tones
from ml.explained import EvidenceTimeline, Spectrogram
from ml.lettering import Box, box, put, write
from ml.pictures import SHOWN_RANGE_DB, Canvas, LogFrequencyGrid, saturation, strip
from ml.png import png

WIDTH, HEIGHT = 880, 440  # pixels
LEFT, TOP, N_COLUMNS = 88, 36, 676
MAP_ROWS, GAP_ROWS, STRIP_ROWS = 304, 6, 40  # from the top; a spectrogram alone takes all of them
ALL_ROWS = MAP_ROWS + GAP_ROWS + STRIP_ROWS
BAR = Box(TOP, 778, ALL_ROWS, 18)
STRIP = Box(TOP + MAP_ROWS + GAP_ROWS, LEFT, STRIP_ROWS, N_COLUMNS)
TICKS_HZ = (55, 110, 220, 440, 880, 1760, 3520, 7040, 14080)
MOST_TIME_STEPS = 9
TITLE, LABEL, NUMBER, SMALL = 11.0, 10.0, 9.0, 8.0  # sizes of type, in points
TITLE_BASELINE, TIME_BASELINE, FREQUENCY_BASELINE, BAR_BASELINE = 24, 428, 19, 865
ENDS_BASELINES = (TOP + 9, TOP + ALL_ROWS // 2 + 3, TOP + ALL_ROWS - 3)


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
    """Draws any number of maps of one recording over its spectrogram, one at a time.

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
        self._place = Box(TOP, LEFT, MAP_ROWS if has_strip else ALL_ROWS, N_COLUMNS)
        self._canvas = Canvas.of(spectrogram, self._place.n_rows, N_COLUMNS)
        self._palette = palette
        self._signed = signed
        self._has_strip = has_strip
        self._empty = _axes(spectrogram, self._canvas.grid, self._place, label)
        ramp = np.linspace(1.0, -1.0 if signed else 0.0, ALL_ROWS, dtype=np.float32)[:, None]
        bar = tones(blend(np.ones((1, 1, 1), dtype=np.float32), ramp, palette))
        put(self._empty, np.repeat(bar, BAR.n_columns, axis=1), BAR)
        self._pixels = np.empty_like(self._empty)  # of the map that is being drawn: memory that is at hand

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
        pixels = self._pixels
        pixels[...] = self._empty
        put(pixels, self._canvas.over_levels(cells, scale.cell, self._palette), self._place)
        if self._has_strip:
            timeline = EvidenceTimeline.of(cells, 0.0, 1.0).evidence
            put(pixels, strip(timeline, scale.step, STRIP_ROWS, N_COLUMNS, self._palette), STRIP)
        largest = f"{scale.cell:.2g}"
        _write_words(pixels, title, (largest, "0", f"-{largest}") if self._signed else (largest, "", "0"))
        return png(pixels)


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
    place = Box(TOP, LEFT, ALL_ROWS, N_COLUMNS)
    canvas = Canvas.of(spectrogram, ALL_ROWS, N_COLUMNS)
    pixels = _axes(spectrogram, canvas.grid, place, "level (dB)", n_channels=1)
    put(pixels, canvas.levels()[..., :1], place)
    ramp = tones(np.linspace(0.0, 1.0, ALL_ROWS))[:, None, None]  # black, the loudest, on top
    put(pixels, np.repeat(ramp, BAR.n_columns, axis=1), BAR)
    loudest_db = float(spectrogram.level_db.max())
    ends = tuple(f"{loudest_db - below:.0f}" for below in (0.0, SHOWN_RANGE_DB / 2, SHOWN_RANGE_DB))
    _write_words(pixels, title, ends)
    return png(pixels)


def _axes(
    spectrogram: Spectrogram, grid: LogFrequencyGrid, place: Box, label: str, n_channels: int = 3
) -> Picture:
    """What all pictures of a kind share: axes, ticks, labels; a strip where a map leaves room for it."""
    pixels = np.full((HEIGHT, WIDTH, n_channels), 255, dtype=np.uint8)
    lowest = place
    if place.n_rows < ALL_ROWS:
        lowest = STRIP
        box(pixels, STRIP)
        labelled_tick(pixels, "sum", STRIP.top + STRIP_ROWS // 2, LEFT, NUMBER)
    for each in (place, BAR):
        box(pixels, each)
    frequency_axis(pixels, grid.heights(TICKS_HZ), place, NUMBER)
    times_s = spectrogram.times_s
    half_frame_s = float(times_s[1] - times_s[0]) / 2 if len(times_s) > 1 else 0.01
    first_s, last_s = float(times_s[0]) - half_frame_s, float(times_s[-1]) + half_frame_s
    time_axis(pixels, TimeTicks.between(first_s, last_s, MOST_TIME_STEPS), lowest, NUMBER)
    middle = place.top + place.n_rows / 2
    write(pixels, "frequency (Hz)", LABEL, (FREQUENCY_BASELINE, middle), upwards=True)
    write(pixels, "time (s)", LABEL, (LEFT + N_COLUMNS / 2, TIME_BASELINE))
    write(pixels, label, SMALL, (BAR_BASELINE, HEIGHT / 2), upwards=True)
    return pixels


def _write_words(pixels: Picture, title: str, ends: tuple[str, ...]) -> None:
    """A picture's title, and what stands beside its bar: at the top, in the middle, at the bottom."""
    write(pixels, title, TITLE, (LEFT + N_COLUMNS / 2, TITLE_BASELINE))
    for words, baseline in zip(ends, ENDS_BASELINES, strict=True):
        write(pixels, words, SMALL, (BAR.right + 4, baseline), "left")
