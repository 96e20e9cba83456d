"""Lines and words on pixels: where they lie, and what lies outside."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.lettering import Align, Box, box, height_of_digits, put, tick_below, tick_left, write

WHITE = 255


def paper(n_rows: int = 60, n_columns: int = 200, n_channels: int = 3) -> NDArray[np.uint8]:
    return np.full((n_rows, n_columns, n_channels), WHITE, dtype=np.uint8)


def inked(pixels: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """First and last row and column that hold ink."""
    rows, columns = (pixels[..., 0] < 200).nonzero()
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


@pytest.mark.parametrize("align", ["left", "middle", "right"])
def test_words_lie_at_their_point(align: Align) -> None:
    pixels = paper()
    write(pixels, "HHHH", 11.0, (100, 40), align)
    first_row, last_row, first, last = inked(pixels)
    assert last_row == 39  # they stand on the baseline
    assert first_row == 40 - height_of_digits(11.0)
    at = {"left": first, "middle": (first + last) / 2, "right": last}[align]
    assert at == pytest.approx(100, abs=3)  # the H has 1.7 pixels of white on either side
    assert np.ptp(pixels, axis=2).max() == 0  # black on white


def test_words_upwards_are_words_turned() -> None:
    across, up = paper(), paper(200, 60)
    write(across, "Hz", 9.0, (80, 30), "left")
    write(up, "Hz", 9.0, (30, 120), "left", upwards=True)
    first_row, last_row, first, last = inked(across)
    turned = np.rot90(across[first_row : last_row + 1, first : last + 1])
    first_row, last_row, first, last = inked(up)
    assert np.array_equal(up[first_row : last_row + 1, first : last + 1], turned)
    assert last == 29  # on the baseline, which is a column
    assert last_row <= 120


@pytest.mark.parametrize(
    "at", [(-20, 30), (195, 30), (100, 3), (100, 64), (-900, 30), (100, 900), (100, -900)]
)
def test_what_lies_outside_is_cut_off(at: tuple[float, float]) -> None:
    pixels, larger = paper(), paper(60 + 2000, 200 + 2000)
    for upwards in (False, True):
        write(pixels, "cut off", 11.0, at, upwards=upwards)
        write(larger, "cut off", 11.0, (at[0] + 1000, at[1] + 1000), upwards=upwards)
    assert np.array_equal(pixels, larger[1000:1060, 1000:1200])


def test_no_words_leave_no_ink() -> None:
    pixels = paper()
    write(pixels, "", 9.0, (100, 30))
    assert (pixels == WHITE).all()


def test_a_face_without_a_sign_shows_a_box() -> None:
    """Labels of a model may be in any script: nothing fails."""
    pixels = paper()
    write(pixels, "琵琶 \n\t\x00", 9.0, (100, 30))
    assert (pixels < WHITE).any()


@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_picture_fills_its_box_up_to_the_lines(n_channels: int) -> None:
    place, pixels = Box(5, 10, 30, 50), paper(n_channels=n_channels)
    box(pixels, place)
    picture = np.arange(30 * 50 * n_channels).reshape(30, 50, n_channels).astype(np.uint8)
    put(pixels, picture, place)
    assert np.array_equal(pixels[6:35, 11:60], picture[1:, 1:])
    for line in (pixels[5, 10:61], pixels[35, 10:61], pixels[5:36, 10], pixels[5:36, 60]):
        assert not line.any()
    outside = pixels.copy()
    outside[4:37, 9:62] = WHITE
    assert (outside == WHITE).all()


def test_ticks_are_as_long_to_the_left_as_down() -> None:
    left, below = paper(), paper(200, 60)
    tick_left(left, 30, 100)
    tick_below(below, 99, 30)
    assert inked(left) == (30, 30, 95, 99)
    assert np.array_equal(left, np.rot90(below, 3))
