"""The overview: the mixture and every explained instrument's map side by side, in one picture.

Panels share their axes: logarithmic frequency in Hz, time in seconds. Each map has its own scale of colours,
since the question is where each instrument's evidence lies, not whose is larger.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.drawing import DOTS_PER_INCH, png, put
from ml.explained import Explanation, InstrumentExplanation
from ml.pictures import Canvas, LogFrequencyGrid, saturation

PANEL_ROWS, PANEL_COLUMNS = 200, 324  # pixels
LEFT, RIGHT, TOP, BOTTOM = 80, 14, 34, 50  # margins; at the top room for the first row's titles
BETWEEN_ROWS, BETWEEN_COLUMNS = 30, 14
TICKS_HZ = (110, 440, 1760, 7040)


def draw_overview(explanation: Explanation) -> bytes:
    """Draw the mixture and all maps.

    Parameters
    ----------
    explanation : Explanation
        Without instruments the mixture stands alone.

    Returns
    -------
    bytes
        PNG; the mixture first, then instruments by falling probability, row by row.
    """
    canvas = Canvas.of(explanation.spectrogram, PANEL_ROWS, PANEL_COLUMNS)
    panels = [("Mixture", canvas.levels())]
    panels += [
        (_title(each), canvas.over_levels(each.relevance_map, saturation(each.relevance_map)))
        for each in explanation.instruments
    ]
    n_across = columns_for(len(panels))
    n_down = -(-len(panels) // n_across)
    width = LEFT + n_across * PANEL_COLUMNS + (n_across - 1) * BETWEEN_COLUMNS + RIGHT
    height = TOP + n_down * PANEL_ROWS + (n_down - 1) * BETWEEN_ROWS + BOTTOM
    figure = Figure(figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    agg = cast(Any, FigureCanvasAgg(figure))  # matplotlib's canvases are not typed
    corners = []
    for place, (title, _) in enumerate(panels):
        row, column = divmod(place, n_across)
        top = TOP + row * (PANEL_ROWS + BETWEEN_ROWS)
        left = LEFT + column * (PANEL_COLUMNS + BETWEEN_COLUMNS)
        corners.append((top, left))
        axes = figure.add_axes(
            (
                left / width,
                1.0 - (top + PANEL_ROWS) / height,
                PANEL_COLUMNS / width,
                PANEL_ROWS / height,
            )
        )
        axes.set_title(title, fontsize=9, pad=4)
        _ticks(axes, explanation, canvas.grid, left=column == 0, below=place + n_across >= len(panels))
    figure.text(8 / width, 0.5, "frequency (Hz)", rotation=90, va="center", fontsize=9)
    figure.text((LEFT + width - RIGHT) / 2 / width, 10 / height, "time (s)", ha="center", fontsize=9)
    agg.draw()
    pixels = np.array(agg.buffer_rgba())[..., :3]
    for (top, left), (_, picture) in zip(corners, panels, strict=True):
        put(pixels, picture, top, left)
    return png(pixels)


def columns_for(n_panels: int) -> int:
    """Panels side by side: rows of up to three, a square of four, rows of four from ten panels on."""
    if n_panels <= 3:
        return n_panels
    if n_panels == 4:
        return 2
    return 3 if n_panels < 10 else 4


def _title(instrument: InstrumentExplanation) -> str:
    against = "" if instrument.contrast is None else f" rather than {instrument.contrast}"
    absent = "" if instrument.found else ", not found"
    return f"{instrument.instrument}{against} ({instrument.probability:.2f}{absent})"


def _ticks(axes: Axes, explanation: Explanation, grid: LogFrequencyGrid, *, left: bool, below: bool) -> None:
    """Ticks on all panels, numbers on the outer ones."""
    shown_hz = [hz for hz in TICKS_HZ if grid.lowest_hz <= hz <= grid.highest_hz]
    axes.set_yticks([grid.position(hz) for hz in shown_hz], [f"{hz:,}" if left else "" for hz in shown_hz])
    times_s = explanation.spectrogram.times_s
    axes.set_xlim(float(times_s[0]), max(float(times_s[-1]), float(times_s[0]) + 0.01))
    axes.tick_params(labelsize=8, labelbottom=below)
