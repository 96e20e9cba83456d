"""Pictures of a report: they are drawn whatever is undefined, and say what they should."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ml.evaluation.calibration import reliability_bins
from ml.evaluation.charts import draw_bars, draw_by_number, draw_reliability
from ml.evaluation.confusion import confusion
from ml.evaluation.figures import NO_DATA_COLOUR
from ml.evaluation.heat_maps import draw_confusion, draw_subsets, draw_timeline
from ml.evaluation.intervals import Interval

GOOD, FAIR, UNDEFINED = Interval(0.9, 0.8, 1.0), Interval(0.5, 0.4, 0.7), Interval(np.nan, np.nan, np.nan)
RNG = np.random.default_rng(0)
TRUTH = RNG.random((40, 3)) < 0.4
LABELS = ("A", "B", "C")


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(colour: str, png: bytes) -> float:
    """Share of the picture that has a colour, give or take the palette."""
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return float((np.abs(pixels(png) - wanted).max(axis=2) <= 8).mean())


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_bars({"one": {"A": GOOD, "B": UNDEFINED}, "two": {"A": FAIR}}, "F1", "title"),
        lambda: draw_by_number({"one": {1: GOOD, 2: UNDEFINED}, "two": {2: FAIR}}, "title"),
        lambda: draw_by_number({"one": {1: UNDEFINED}}, "title"),
        lambda: draw_reliability({"one": reliability_bins(TRUTH, TRUTH * 1.0)}, "title"),
        lambda: draw_confusion(confusion(TRUTH, ~TRUTH), LABELS, "title"),
        lambda: draw_confusion(confusion(np.ones((2, 3), bool), np.ones((2, 3), bool)), LABELS, "title"),
        lambda: draw_subsets({"g": (["A", "A + B"], ["A", "B"], np.eye(2))}, "title"),
        lambda: draw_timeline(np.zeros((1, 3)), LABELS, 2.5, 5.0, "title"),
    ],
)
def test_they_are_drawn_whatever_is_undefined_and_always_alike(draw: Callable[[], bytes]) -> None:
    first = draw()
    assert first == draw()
    assert min(Image.open(io.BytesIO(first)).size) > 100
    assert len(np.unique(pixels(first).reshape(-1, 3), axis=0)) > 4


def test_a_longer_bar_covers_more() -> None:
    blue = "#0072B2"
    long, short = (draw_bars({"one": {"A": value}}, "F1", "title") for value in (GOOD, FAIR))
    assert share_of(blue, long) > 1.5 * share_of(blue, short) > 0.0


def test_what_never_happened_is_grey() -> None:
    """Of four by four cells the diagonal is undefined: its three cells and the corner."""
    truth = np.array([[True, False, False], [False, True, False], [False, False, True]])
    png = draw_confusion(confusion(truth, truth), LABELS, "title")
    everything = draw_confusion(confusion(np.ones((2, 3), bool), np.ones((2, 3), bool)), LABELS, "title")
    assert 0.05 < share_of(NO_DATA_COLOUR, png) < share_of(NO_DATA_COLOUR, everything)


def test_a_timeline_is_dark_where_and_when_an_instrument_is_heard() -> None:
    probabilities = np.zeros((4, 3))
    probabilities[2:, 0] = 1.0
    picture = pixels(draw_timeline(probabilities, LABELS, 2.5, 5.0, "title")).sum(axis=2)
    height, width = picture.shape
    upper = picture[round(height * 0.3)]
    assert upper[round(width * 0.75)] < 300
    assert upper[round(width * 0.3)] > 700
