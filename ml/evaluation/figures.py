"""The paper that a report's pictures are drawn on: one size of letters, one set of colours, small PNG files.

Colours are those of Okabe and Ito (*Color Universal Design*, 2008), which colour-blind people can tell apart.
"""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

DOTS_PER_INCH = 100
N_COLOURS = 256
_MARGIN_INCHES = 0.08
SMALL, MEDIUM = 8, 10  # points: letters in the plot, of titles
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
HEAT_COLOURS = "Blues"
NO_DATA_COLOUR = "#e6e6e6"
DARK_FROM = 0.55  # of the scale: from here white letters are read better than black ones


def blank_figure(width_inches: float, height_inches: float) -> Figure:
    """An empty figure whose parts make room for one another."""
    layout = ConstrainedLayoutEngine(w_pad=_MARGIN_INCHES, h_pad=_MARGIN_INCHES)
    figure = Figure((width_inches, height_inches), DOTS_PER_INCH, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Figure, *, all_colours: bool = False) -> bytes:
    """The figure as PNG of 256 colours, a third of the size; equal figures give equal bytes.

    Small parts of a colour of their own are dulled by that; with `all_colours` every colour stays.
    """
    drawn, buffer = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", pil_kwargs={"compress_level": 1})
    with Image.open(drawn) as picture:
        whole = picture.convert("RGB")
    reduced = whole if all_colours else whole.quantize(N_COLOURS, dither=Image.Dither.NONE)
    reduced.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
