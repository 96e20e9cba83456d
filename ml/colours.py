"""Colours of what speaks for and against, over grey.

Red speaks for the instrument, blue against it, the stronger the more opaque: `blend` says how. A pixel
depends on its shade of grey and on the strength over it alone, so all shades under all strengths are blended
once for each palette, and pictures are looked up in that table. Colours have 128 tones instead of 256: nobody
sees it, and it saves a quarter of a file's bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRONGEST_OPACITY = 0.95
PALEST = 0.35  # of the grey below relevance, so that colours stand out
N_SHADES = 256  # of grey
_N_STRENGTHS = 255  # of either sign, in steps of the root

Colour = tuple[float, float, float]
Colours = NDArray[np.float32]  # (n_rows, n_columns, 3), 0..1
Picture = NDArray[np.uint8]  # the same in tones, 1..255


@dataclass(frozen=True)
class Palette:
    """Colours of what is positive and of what is negative."""

    positive: Colour
    negative: Colour


RELEVANCE = Palette((0.84, 0.09, 0.11), (0.13, 0.36, 0.75))
TRUTH = Palette((0.05, 0.53, 0.28), (0.13, 0.36, 0.75))


def blend(below: NDArray[np.float32], strength: NDArray[np.float32], palette: Palette) -> Colours:
    """Colours over what lies below them.

    Parameters
    ----------
    below : ndarray of float32, shape (n_rows, n_columns, 1)
        Or one row, or one column, for all.
    strength : ndarray of float32, shape (n_rows, n_columns)
        Clipped to -1..1; its root is the opacity, so that faint relevance can be seen.
    palette : Palette
    """
    root: NDArray[np.float32] = np.sqrt(np.minimum(np.abs(strength), 1.0))[..., None]
    opacity: NDArray[np.float32] = root * np.float32(STRONGEST_OPACITY)
    positive, negative = (np.array(ink, dtype=np.float32) for ink in (palette.positive, palette.negative))
    ink: Colours = np.where(strength[..., None] >= 0.0, positive, negative)
    colours: Colours = below + opacity * (ink - below)
    return colours


def tones(colours: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colours 0..1 as the nearest odd number of 1..255: white stays white, and all differences are even."""
    tone: NDArray[np.uint8] = np.rint(colours * 127.5 - 0.5).astype(np.uint8)
    return tone * np.uint8(2) + np.uint8(1)


def greys(shade: NDArray[np.float32]) -> Picture:
    """Shades of grey, whole numbers from 0, black, to `N_SHADES` - 1, as a picture."""
    table = tones(np.linspace(0.0, 1.0, N_SHADES))
    return np.repeat(table[shade.astype(np.uint8), None], 3, axis=2)


def coloured(shade: NDArray[np.float32], strength: NDArray[np.float32], palette: Palette) -> Picture:
    """Colours over shades of grey, which are paler below them: `blend`, looked up.

    Parameters
    ----------
    shade, strength : ndarray of float32, shape (n_rows, n_columns)
        Shades as for `greys`; strengths as for `blend`, finite.
    palette : Palette
    """
    place = np.abs(strength)
    np.minimum(place, 1.0, out=place)
    np.sqrt(place, out=place)
    place *= np.float32(_N_STRENGTHS)
    np.rint(place, out=place)
    np.copysign(place, strength, out=place)
    place += shade * np.float32(2 * _N_STRENGTHS + 1)  # whole numbers below 2^24: exact in float32
    place += np.float32(_N_STRENGTHS)
    found = _table(palette).take(place.astype(np.intp))
    n_rows, n_columns = found.shape
    image = Image.frombuffer("RGBX", (n_columns, n_rows), found, "raw", "RGBX", 0, 1)
    packed = image.tobytes("raw", "RGB")  # ten times as fast as numpy copies three bytes of four
    return np.frombuffer(packed, dtype=np.uint8).reshape(n_rows, n_columns, 3)


@lru_cache
def _table(palette: Palette) -> NDArray[np.uint32]:
    """The colour of every strength over every shade: red, green, blue and nothing, a byte each.

    Shape `(N_SHADES * (2 * _N_STRENGTHS + 1),)`, strengths of one shade side by side from -1 to 1.
    """
    roots = np.linspace(-1.0, 1.0, 2 * _N_STRENGTHS + 1, dtype=np.float32)
    strength = np.broadcast_to(np.copysign(roots**2, roots), (N_SHADES, len(roots)))
    grey = np.linspace(0.0, 1.0, N_SHADES, dtype=np.float32)[:, None, None]
    table = np.zeros((*strength.shape, 4), dtype=np.uint8)
    table[..., :3] = tones(blend(PALEST + (1.0 - PALEST) * grey, strength, palette))
    return table.view(np.uint32).ravel()
