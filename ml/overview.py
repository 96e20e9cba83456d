"""The overview: the mixture and every explained instrument's map side by side, in one picture.

Panels share their axes: logarithmic frequency in Hz, time in seconds. Each map has its own scale of colours,
since the question is where each instrument's evidence lies, not whose is larger.
"""

from __future__ import annotations

import numpy as np

from ml.axes import TimeTicks, frequency_axis, time_axis
from ml.explained import Explanation, InstrumentExplanation
from ml.lettering import Box, box, put, write
from ml.pictures import Canvas, saturation
from ml.png import png

PANEL_ROWS, PANEL_COLUMNS = 200, 324  # pixels
LEFT, RIGHT, TOP, BOTTOM = 80, 14, 34, 50  # margins; at the top room for the first row's titles
BETWEEN_ROWS, BETWEEN_COLUMNS = 30, 14
TICKS_HZ = (110, 440, 1760, 7040)
MOST_TIME_STEPS = 8
TITLE, NUMBER = 9.0, 8.0  # sizes of type, in points
TITLE_ABOVE, TIME_ABOVE, FREQUENCY_BASELINE = (
    6,
    10,
    19,
)  # pixels above a panel, above the lower edge, from the left


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
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    times_s = explanation.spectrogram.times_s
    first_s, last_s = float(times_s[0]), max(float(times_s[-1]), float(times_s[0]) + 0.01)
    ticks = TimeTicks.between(first_s, last_s, MOST_TIME_STEPS)
    for number, (title, picture) in enumerate(panels):
        row, column = divmod(number, n_across)
        place = Box(
            TOP + row * (PANEL_ROWS + BETWEEN_ROWS),
            LEFT + column * (PANEL_COLUMNS + BETWEEN_COLUMNS),
            PANEL_ROWS,
            PANEL_COLUMNS,
        )
        box(pixels, place)
        frequency_axis(pixels, canvas.grid.heights(TICKS_HZ), place, NUMBER, has_numbers=column == 0)
        time_axis(pixels, ticks, place, NUMBER, has_numbers=number + n_across >= len(panels))
        write(pixels, title, TITLE, (place.left + PANEL_COLUMNS / 2, place.top - TITLE_ABOVE))
        put(pixels, picture, place)
    write(pixels, "frequency (Hz)", TITLE, (FREQUENCY_BASELINE, height / 2), upwards=True)
    write(pixels, "time (s)", TITLE, ((LEFT + width - RIGHT) / 2, height - TIME_ABOVE))
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
