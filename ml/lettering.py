"""Black lines and words on white pixels: what axes are made of.

Conventions: pixels are `(n_rows, n_columns, 3)`, or 1 where they are grey, the top row first; x counts
columns from the left, y rows from the top. Ink darkens what lies below it, and what would lie outside is left
out. Lines look as matplotlib draws them with its defaults at 110 dots per inch, and words are set in its own
face, DejaVu Sans; but axes cost it fifty times the work of putting these pixels where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from ml.errors import SystemDependencyError

DOTS_PER_INCH = 110
LINE_SIDES = 28  # of 255: a line is 1.2 pixels wide, this is its share of the pixels on either side
TICK_PIXELS = 4  # of a tick beyond its line; half a pixel more follows
_FACE = "mpl-data/fonts/ttf/DejaVuSans.ttf"

Pixels = NDArray[np.uint8]  # (n_rows, n_columns, 3 or 1)
Align = Literal["left", "middle", "right"]


@dataclass(frozen=True)
class Box:
    """Where axes lie, in pixels; `top` and `left` are the row and the column of their first lines."""

    top: int
    left: int
    n_rows: int
    n_columns: int

    @property
    def bottom(self) -> int:
        """The row of the lower line."""
        return self.top + self.n_rows

    @property
    def right(self) -> int:
        """The column of the right line."""
        return self.left + self.n_columns


@dataclass(frozen=True)
class _Mark:
    """Words as ink.

    Attributes
    ----------
    ink : ndarray of uint8, shape (n_rows, n_columns)
        255 is black.
    left, top : int
        Where its first pixel lies, from the pen's place on the baseline.
    advance : float
        How far the pen moves, in pixels.
    """

    ink: NDArray[np.uint8]
    left: int
    top: int
    advance: float


def write(
    pixels: Pixels,
    words: str,
    size_points: float,
    at: tuple[float, float],
    align: Align = "middle",
    *,
    upwards: bool = False,
) -> None:
    """Write one line of words.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n_rows, n_columns, 3)
    words : str
    size_points : float
    at : (float, float)
        A point of the baseline, x and y: its beginning, middle or end.
    align : {"left", "middle", "right"}
        Which.
    upwards : bool
        Whether the words run from below to above.
    """
    mark = _mark(words, size_points)
    x, y = at
    before = {"left": 0.0, "middle": mark.advance / 2, "right": mark.advance}[align]
    if upwards:
        turned = np.rot90(mark.ink)
        _darken(pixels, turned, round(y + before) - mark.left - len(turned), round(x) + mark.top)
    else:
        _darken(pixels, mark.ink, round(y) + mark.top, round(x - before) + mark.left)


def height_of_digits(size_points: float) -> int:
    """How many pixels digits are high."""
    return -_mark("0", size_points).top


def box(pixels: Pixels, place: Box) -> None:
    """Draw the four lines of axes."""
    upright = pixels.swapaxes(0, 1)
    for row in (place.top, place.bottom):
        _level(pixels, row, place.left, place.right + 1)
    for column in (place.left, place.right):
        _level(upright, column, place.top, place.bottom + 1)


def put(pixels: Pixels, picture: NDArray[np.uint8], place: Box) -> None:
    """Lay a picture into a box, inside of its lines; its first row and column are below them."""
    pixels[place.top + 1 : place.bottom, place.left + 1 : place.right] = picture[1:, 1:]


def tick_below(pixels: Pixels, row: int, column: int) -> None:
    """Draw a tick at a column, down from the line on `row`."""
    _level(pixels.swapaxes(0, 1), column, row + 1, row + 1 + TICK_PIXELS, half_more=1)


def tick_left(pixels: Pixels, row: int, column: int) -> None:
    """Draw a tick at a row, to the left of the line on `column`."""
    _level(pixels, row, column - TICK_PIXELS, column, half_more=-1)


def _level(pixels: Pixels, row: int, first: int, end: int, *, half_more: int = 0) -> None:
    """A line along a row, from column `first` to before `end`, and half a pixel more after or before it."""
    ink = np.empty((3, end - first + abs(half_more)), dtype=np.uint8)
    ink[...] = np.array([[LINE_SIDES], [255], [LINE_SIDES]])
    if half_more:
        place = -1 if half_more > 0 else 0
        ink[:, place] //= 2
    _darken(pixels, ink, row - 1, first + min(half_more, 0))


def _darken(pixels: Pixels, ink: NDArray[np.uint8], top: int, left: int) -> None:
    """Lay ink on pixels; what lies outside is cut off."""
    n_rows, n_columns = ink.shape
    rows = slice(max(top, 0), max(min(top + n_rows, pixels.shape[0]), 0))
    columns = slice(max(left, 0), max(min(left + n_columns, pixels.shape[1]), 0))
    shown = ink[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    below = pixels[rows, columns]
    light = 255 - shown.astype(np.uint16)
    below[...] = (below * light[..., None] + 127) // 255


@lru_cache(maxsize=1024)
def _mark(words: str, size_points: float) -> _Mark:
    font = _font(size_points)
    image, (left, top) = font.getmask2(words, mode="L", anchor="ls")
    ink = np.frombuffer(bytes(image), dtype=np.uint8).reshape(image.size[::-1])
    return _Mark(ink, round(left), round(top), font.getlength(words))


@lru_cache
def _font(size_points: float) -> ImageFont.FreeTypeFont:
    size_pixels = size_points * DOTS_PER_INCH / 72
    return ImageFont.truetype(str(_face()), size_pixels, layout_engine=ImageFont.Layout.BASIC)


def _face() -> Path:
    """The file that matplotlib brings along; to find it, it need not be imported."""
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise SystemDependencyError(
            "matplotlib is not installed: its typeface is what pictures are lettered in."
        )
    return Path(spec.submodule_search_locations[0]) / _FACE
