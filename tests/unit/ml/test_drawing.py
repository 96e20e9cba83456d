"""Pictures look as matplotlib would draw them, and colours are those of the slow formula."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from bench.plain import plain_map, plain_overview, plain_spectrogram
from ml.axes import TimeTicks
from ml.colours import PALEST, RELEVANCE, TRUTH, Palette, blend, coloured, greys, tones
from ml.drawing import LEFT, MAP_ROWS, N_COLUMNS, TOP, MapScale, MapSheet, draw_map, draw_spectrogram
from ml.explained import Explanation, Spectrogram
from ml.overview import LEFT as OVERVIEW_LEFT
from ml.overview import PANEL_COLUMNS, PANEL_ROWS, draw_overview
from ml.overview import TOP as OVERVIEW_TOP
from ml.pictures import LogFrequencyGrid, columns

CLOSE = 2.0  # of 255: half a tone, and the rounding of shades and strengths
INK = 40.0  # a difference that can be seen, as of words that lie half a pixel beside
MOST_INK = 0.02  # of all pixels: edges of letters
PATCH, MOST_IN_PATCH = 15, 24.0  # means over patches of so many pixels: words elsewhere, missing ones


def pixels_of(png: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(float)


def patches(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over all squares of `PATCH` pixels."""
    sums = np.pad(pixels, ((1, 0), (1, 0), (0, 0))).cumsum(axis=0).cumsum(axis=1)
    k = PATCH
    squares: NDArray[np.float64] = sums[k:, k:] - sums[:-k, k:] - sums[k:, :-k] + sums[:-k, :-k]
    return squares / k**2


def assert_alike(fast: bytes, slow: bytes, inside: tuple[slice, slice]) -> None:
    """The same picture: cells the same, lines and words in their places."""
    ours, theirs = pixels_of(fast), pixels_of(slow)
    assert ours.shape == theirs.shape
    differences = np.abs(ours - theirs).max(axis=2)
    assert differences[inside].max() <= CLOSE
    assert (differences > INK).mean() <= MOST_INK
    assert np.abs(patches(ours) - patches(theirs)).max() <= MOST_IN_PATCH


def of_seconds(duration_s: float, start_s: float = 0.0) -> tuple[Spectrogram, NDArray[np.float32]]:
    """Noise, and a map of something in it."""
    draw = np.random.default_rng(round(duration_s * 1000))
    n_frames = max(round(duration_s * 86.13), 2)
    levels = draw.normal(-40.0, 12.0, (64, n_frames)).astype(np.float32)
    cells = draw.normal(0.0, 1.0, (64, n_frames)).astype(np.float32) ** 3
    hz = np.geomspace(40.0, 16_000.0, 64).astype(np.float32)
    times_s = (start_s + np.arange(n_frames) / 86.13).astype(np.float32)
    return Spectrogram(levels, hz, times_s), cells


@pytest.mark.parametrize(
    ("duration_s", "start_s"), [(0.3, 0.0), (5.0, 0.0), (7.9, 0.0), (3.0, 61.5), (60.0, 0.0)]
)
def test_a_map_looks_as_matplotlib_draws_it(duration_s: float, start_s: float) -> None:
    spectrogram, cells = of_seconds(duration_s, start_s)
    inside = (slice(TOP + 2, TOP + MAP_ROWS - 2), slice(LEFT + 2, LEFT + N_COLUMNS - 2))
    title = "Trumpet: evidence for (red) and against (blue), probability 0.98"
    assert_alike(draw_map(spectrogram, cells, title), plain_map(spectrogram, cells, title), inside)


def test_another_picture_is_told_apart() -> None:
    """What the bounds are worth: another title, other axes, another scale are each seen."""
    spectrogram, cells = of_seconds(5.0)
    others, _ = of_seconds(5.0, 2.5)
    inside = (slice(TOP + 2, TOP + MAP_ROWS - 2), slice(LEFT + 2, LEFT + N_COLUMNS - 2))
    slow = plain_map(spectrogram, cells, "Trumpet: evidence for and against")
    scale = MapScale.of(cells)
    half = MapScale(scale.cell / 2.0, scale.step)
    for fast in (
        draw_map(spectrogram, cells, "Celesta, not found: evidence"),
        draw_map(others, cells, "Trumpet: evidence for and against"),
        draw_map(spectrogram, cells, "Trumpet: evidence for and against", half),
    ):
        with pytest.raises(AssertionError):
            assert_alike(fast, slow, inside)


def test_a_spectrogram_looks_as_matplotlib_draws_it() -> None:
    spectrogram, _ = of_seconds(5.0)
    inside = (slice(TOP + 2, TOP + MAP_ROWS), slice(LEFT + 2, LEFT + N_COLUMNS - 2))
    fast = draw_spectrogram(spectrogram, "Log-mel spectrogram")
    assert_alike(fast, plain_spectrogram(spectrogram, "Log-mel spectrogram"), inside)


def test_the_overview_looks_as_matplotlib_draws_it(explanation: Explanation) -> None:
    inside = (
        slice(OVERVIEW_TOP + 2, OVERVIEW_TOP + PANEL_ROWS - 2),
        slice(OVERVIEW_LEFT + 2, OVERVIEW_LEFT + PANEL_COLUMNS - 2),
    )
    assert_alike(draw_overview(explanation), plain_overview(explanation), inside)


def test_a_sheet_keeps_nothing_of_the_map_before() -> None:
    spectrogram, cells = of_seconds(5.0)
    sheet = MapSheet(spectrogram)
    first = sheet.draw(cells, "a title that is longer than the next")
    assert sheet.draw(-cells, "short") == draw_map(spectrogram, -cells, "short")
    assert sheet.draw(cells, "a title that is longer than the next") == first


@pytest.mark.parametrize("palette", [RELEVANCE, TRUTH])
def test_colours_are_looked_up_as_they_are_blended(palette: Palette) -> None:
    draw = np.random.default_rng(0)
    shade = draw.integers(0, 256, (40, 300)).astype(np.float32)
    strength = draw.uniform(-1.3, 1.3, (40, 300)).astype(np.float32)
    strength[:, :3] = (0.0, 1.0, -1.0)
    slow = np.empty((40, 300, 3))
    for row, column in np.ndindex(40, 300):
        grey = PALEST + (1.0 - PALEST) * shade[row, column] / 255.0
        value = min(max(float(strength[row, column]), -1.0), 1.0)
        ink = palette.positive if value >= 0.0 else palette.negative
        opacity = 0.95 * math.sqrt(abs(value))
        slow[row, column] = [grey + opacity * (channel - grey) for channel in ink]
    below = PALEST + (1.0 - PALEST) * shade[..., None] / np.float32(255.0)
    np.testing.assert_allclose(blend(below, strength, palette), slow, atol=1e-6)
    assert np.abs(coloured(shade, strength, palette) - slow * 255.0).max() <= CLOSE


def test_tones_are_even_steps_up_to_white() -> None:
    assert tones(np.array([0.0, 0.5, 1.0])).tolist() == [1, 127, 255]
    every = tones(np.linspace(0.0, 1.0, 10_001))
    assert np.unique(every).tolist() == list(range(1, 256, 2))
    assert np.abs(every - np.linspace(0.0, 255.0, 10_001)).max() <= 1.0
    shades = greys(np.arange(256, dtype=np.float32)[None])
    assert np.abs(shades - np.arange(256.0)[None, :, None]).max() <= 1.0


@pytest.mark.parametrize("n_frames", [1, 7, 300])
def test_cells_between_are_interpolated(n_frames: int) -> None:
    """Against numpy's own interpolation, row by row and column by column."""
    cells = np.random.default_rng(n_frames).normal(size=(12, n_frames)).astype(np.float32)
    places = (np.arange(400) + 0.5) * n_frames / 400 - 0.5
    slow = np.stack([np.interp(places, np.arange(n_frames), row) for row in cells])
    np.testing.assert_allclose(columns(cells, 400), slow, atol=1e-5)
    grid = LogFrequencyGrid.of(np.geomspace(50.0, 8_000.0, 12).astype(np.float32), 90)
    slow = np.stack([np.interp(grid.rows, np.arange(12), column) for column in cells.T], axis=1)
    np.testing.assert_allclose(grid.apply(cells), slow, atol=1e-5)
    np.testing.assert_array_equal(grid.apply(cells, slice(20, 50)), grid.apply(cells)[20:50])


@pytest.mark.parametrize("n_steps", [8, 9])
def test_ticks_lie_where_matplotlib_puts_them(n_steps: int) -> None:
    draw = np.random.default_rng(n_steps)
    locator = MaxNLocator(n_steps, steps=[1, 2, 2.5, 5, 10])
    for _ in range(300):
        first_s = float(draw.choice([0.0, -0.006, draw.uniform(0.0, 600.0)]))
        last_s = first_s + float(np.exp(draw.uniform(np.log(0.02), np.log(600.0))))
        ticks = TimeTicks.between(first_s, last_s, n_steps)
        theirs = [time_s for time_s in locator.tick_values(first_s, last_s) if first_s <= time_s <= last_s]
        assert ticks.times_s == pytest.approx(theirs, abs=1e-9)
        assert [float(number) for number in ticks.numbers] == pytest.approx(theirs, abs=1e-9)
        assert len({len(number.partition(".")[2]) for number in ticks.numbers}) == 1


def test_an_axis_of_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from 2\.0 s to 2\.0 s"):
        TimeTicks.between(2.0, 2.0, 9)
