"""An explanation's pictures and arrays as anybody would make them: figures of matplotlib, arrays by numpy.

The figures are those of `ml.drawing` and `ml.overview`, with the same places and sizes, drawn one by one by
`savefig`; the colours are `ml.colours.blend`, cell by cell. What the fast pictures should look like.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml import drawing, overview
from ml.colours import PALEST, RELEVANCE, Colours, blend
from ml.drawing import ALL_ROWS, BAR, LEFT, MAP_ROWS, N_COLUMNS, STRIP, TOP, MapScale
from ml.explained import EvidenceTimeline, Explanation, Spectrogram
from ml.lettering import DOTS_PER_INCH, Box
from ml.pictures import SHOWN_RANGE_DB, LogFrequencyGrid, columns, saturation, strip

_Size = tuple[int, int]  # width and height of a figure in pixels
_PAGE = (drawing.WIDTH, drawing.HEIGHT)


def plain_files(explanation: Explanation) -> Iterator[bytes]:
    """The overview, the spectrogram and every map, each as PNG and NPZ."""
    spectrogram = explanation.spectrogram
    yield plain_overview(explanation)
    yield plain_spectrogram(spectrogram, "Log-mel spectrogram")
    yield plain_npz("level_db", spectrogram.level_db, spectrogram)
    for instrument in explanation.instruments:
        scale = MapScale.of(instrument.relevance_map)
        for cells in (instrument.relevance_map, *(part.relevance_map for part in instrument.concepts)):
            yield plain_map(spectrogram, cells, instrument.instrument, scale)
            yield plain_npz("relevance", cells, spectrogram)


def plain_map(
    spectrogram: Spectrogram, cells: NDArray[np.float32], title: str, scale: MapScale | None = None
) -> bytes:
    """`ml.drawing.draw_map`."""
    scale = scale or MapScale.of(cells)
    figure = _figure(_PAGE)
    place = Box(TOP, LEFT, MAP_ROWS, N_COLUMNS)
    plot = _axes(figure, _PAGE, place)
    _show(plot, _coloured(spectrogram, cells, scale.cell, place))
    _frequencies(plot, spectrogram, drawing.TICKS_HZ)
    plot.set_xticks([])
    plot.set_ylabel("frequency (Hz)")
    sums = _axes(figure, _PAGE, STRIP)
    evidence = EvidenceTimeline.of(cells, 0.0, 1.0).evidence
    _show(sums, strip(evidence, scale.step, STRIP.n_rows, STRIP.n_columns) / 255.0, _half_frames(spectrogram))
    sums.set_yticks([0.5], ["sum"])
    sums.set_xlabel("time (s)")
    ramp = np.linspace(1.0, -1.0, ALL_ROWS, dtype=np.float32)[:, None]
    bar = blend(np.ones((1, 1, 1), dtype=np.float32), ramp, RELEVANCE)
    ends = (f"{scale.cell:.2g}", "0", f"{-scale.cell:.2g}")
    _words(figure, bar, title, "relevance (blue: against, red: for)", ends)
    return _saved(figure)


def plain_spectrogram(spectrogram: Spectrogram, title: str) -> bytes:
    """`ml.drawing.draw_spectrogram`."""
    figure = _figure(_PAGE)
    place = Box(TOP, LEFT, ALL_ROWS, N_COLUMNS)
    plot = _axes(figure, _PAGE, place)
    _show(plot, np.repeat(_grey(spectrogram, place)[::-1], 3, axis=2), _half_frames(spectrogram))
    _frequencies(plot, spectrogram, drawing.TICKS_HZ)
    plot.set_ylabel("frequency (Hz)")
    plot.set_xlabel("time (s)")
    bar = np.repeat(np.linspace(0.0, 1.0, ALL_ROWS, dtype=np.float32)[:, None, None], 3, axis=2)
    loudest_db = float(spectrogram.level_db.max())
    ends = [f"{loudest_db - below:.0f}" for below in (0.0, SHOWN_RANGE_DB / 2, SHOWN_RANGE_DB)]
    _words(figure, bar, title, "level (dB)", ends)
    return _saved(figure)


def plain_overview(explanation: Explanation) -> bytes:
    """`ml.overview.draw_overview`, of panels in one row."""
    spectrogram, n_panels = explanation.spectrogram, len(explanation.instruments) + 1
    place = Box(overview.TOP, overview.LEFT, overview.PANEL_ROWS, overview.PANEL_COLUMNS)
    stride = overview.PANEL_COLUMNS + overview.BETWEEN_COLUMNS
    size = (
        overview.LEFT + n_panels * stride - overview.BETWEEN_COLUMNS + overview.RIGHT,
        overview.TOP + overview.PANEL_ROWS + overview.BOTTOM,
    )
    figure = _figure(size)
    panels = [("Mixture", np.repeat(_grey(spectrogram, place)[::-1], 3, axis=2))]
    for each in explanation.instruments:
        cells = each.relevance_map
        words = f"{each.instrument} ({each.probability:.2f})"
        panels.append((words, _coloured(spectrogram, cells, saturation(cells), place)))
    for number, (words, picture) in enumerate(panels):
        axes = _axes(
            figure, size, Box(place.top, place.left + number * stride, place.n_rows, place.n_columns)
        )
        times_s = spectrogram.times_s
        _show(axes, picture, (float(times_s[0]), float(times_s[-1])))
        axes.set_title(words, fontsize=9, pad=4)
        _frequencies(axes, spectrogram, overview.TICKS_HZ)
        axes.tick_params(labelsize=8, labelleft=number == 0)
    figure.text(8 / size[0], 0.5, "frequency (Hz)", rotation=90, va="center", fontsize=9)
    middle = (overview.LEFT + size[0] - overview.RIGHT) / 2
    figure.text(middle / size[0], 10 / size[1], "time (s)", ha="center", fontsize=9)
    return _saved(figure)


def plain_npz(key: str, cells: NDArray[np.float32], spectrogram: Spectrogram) -> bytes:
    """A map with its axes."""
    buffer = io.BytesIO()
    axes = {"frequencies_hz": spectrogram.frequencies_hz, "times_s": spectrogram.times_s}
    np.savez_compressed(buffer, allow_pickle=False, **{key: cells}, **axes)
    return buffer.getvalue()


def _grey(spectrogram: Spectrogram, place: Box) -> NDArray[np.float32]:
    """White for silence, lowest frequency first, `(n_rows, n_columns, 1)`."""
    level_db = spectrogram.level_db
    white = 1.0 - np.clip(1.0 + (level_db - level_db.max()) / SHOWN_RANGE_DB, 0.0, 1.0)
    grid = LogFrequencyGrid.of(spectrogram.frequencies_hz, place.n_rows)
    return grid.apply(columns(white, place.n_columns))[..., None]


def _coloured(spectrogram: Spectrogram, cells: NDArray[np.float32], limit: float, place: Box) -> Colours:
    grid = LogFrequencyGrid.of(spectrogram.frequencies_hz, place.n_rows)
    strength = grid.apply(columns(cells, place.n_columns)) / np.float32(limit)
    return blend(PALEST + (1.0 - PALEST) * _grey(spectrogram, place), strength, RELEVANCE)[::-1]


def _half_frames(spectrogram: Spectrogram) -> tuple[float, float]:
    """From where to where an axis of time runs that has room for the first and the last frame."""
    times_s = spectrogram.times_s
    half_frame_s = float(times_s[1] - times_s[0]) / 2
    return float(times_s[0]) - half_frame_s, float(times_s[-1]) + half_frame_s


def _figure(size: _Size) -> Figure:
    figure = Figure(figsize=(size[0] / DOTS_PER_INCH, size[1] / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Figure, size: _Size, place: Box) -> Axes:
    """Axes whose inside is given in pixels."""
    width, height = size
    bounds = (
        place.left / width,
        1.0 - place.bottom / height,
        place.n_columns / width,
        place.n_rows / height,
    )
    axes = figure.add_axes(bounds)
    axes.tick_params(labelsize=9)
    return axes


def _show(axes: Axes, picture: NDArray[np.floating], x: tuple[float, float] = (0.0, 1.0)) -> None:
    axes.imshow(picture, aspect="auto", extent=(*x, 0.0, 1.0), interpolation="nearest")


def _frequencies(axes: Axes, spectrogram: Spectrogram, ticks_hz: Sequence[int]) -> None:
    heights = LogFrequencyGrid.of(spectrogram.frequencies_hz, 2).heights(ticks_hz)
    axes.set_yticks(list(heights.values()), [f"{hz:,}" for hz in heights])


def _words(figure: Figure, bar: Colours, title: str, label: str, ends: Sequence[str]) -> None:
    """The bar of colours at the right and all words that are not an axis's."""
    width, height = _PAGE
    axes = _axes(figure, _PAGE, BAR)
    _show(axes, np.broadcast_to(bar, (BAR.n_rows, BAR.n_columns, 3)))
    axes.set_xticks([])
    axes.set_yticks([])
    figure.text((width - 12) / width, 0.5, label, rotation=90, ha="right", va="center", fontsize=8)
    middle = (LEFT + N_COLUMNS / 2) / width
    figure.text(middle, 1.0 - 24 / height, title, ha="center", fontsize=11)
    x = (BAR.right + 4) / width
    for share, where, words in zip((0.0, 0.5, 1.0), ("top", "center", "bottom"), ends, strict=True):
        y = 1.0 - (TOP + share * ALL_ROWS) / height
        figure.text(x, y, words, va=where, fontsize=8)


def _saved(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
