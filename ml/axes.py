"""Axes of pictures: ticks at octaves of A upwards, at round seconds to the right, with their numbers.

Ticks in time lie where matplotlib would put them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml.lettering import Box, Pixels, height_of_digits, tick_below, tick_left, write

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # times a power of ten
_TO_NUMBERS = 11  # pixels from an axis to its numbers
_BELOW_THE_MIDDLE = 5  # of a tick lies the baseline of its number


@dataclass(frozen=True)
class TimeTicks:
    """Where on an axis of time ticks lie, and what stands there.

    Attributes
    ----------
    first_s, last_s : float
        The axis's ends.
    times_s : tuple of float
    numbers : tuple of str
        As many decimals as the step between ticks needs.
    """

    first_s: float
    last_s: float
    times_s: tuple[float, ...]
    numbers: tuple[str, ...]

    @staticmethod
    def between(first_s: float, last_s: float, n_steps: int) -> TimeTicks:
        """Ticks at multiples of the smallest round step of which at most `n_steps` fit in.

        Raises
        ------
        ValueError
            When the axis does not end after it begins.
        """
        if not last_s > first_s:
            raise ValueError(f"An axis of time cannot run from {first_s} s to {last_s} s.")
        at_least_s = (last_s - first_s) / n_steps
        power = math.floor(math.log10(at_least_s))
        step = next(step for step in _STEPS if step * 10.0**power >= at_least_s)
        step_s = step * 10.0**power
        n_decimals = max(0, -power + (step == 2.5) - (step == 10.0))
        places = range(math.ceil(first_s / step_s), math.floor(last_s / step_s) + 1)
        times_s = tuple(place * step_s for place in places)
        return TimeTicks(first_s, last_s, times_s, tuple(f"{time_s:.{n_decimals}f}" for time_s in times_s))


def time_axis(
    pixels: Pixels, ticks: TimeTicks, place: Box, size_points: float, *, has_numbers: bool = True
) -> None:
    """Draw ticks of time below axes.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n_rows, n_columns, 3)
    ticks : TimeTicks
    place : Box
        The axes.
    size_points : float
        Of the numbers.
    has_numbers : bool
    """
    baseline = place.bottom + _TO_NUMBERS + height_of_digits(size_points)
    for time_s, number in zip(ticks.times_s, ticks.numbers, strict=True):
        share = (time_s - ticks.first_s) / (ticks.last_s - ticks.first_s)
        column = round(place.left + place.n_columns * share)
        tick_below(pixels, place.bottom, column)
        if has_numbers:
            write(pixels, number, size_points, (column, baseline))


def frequency_axis(
    pixels: Pixels,
    ticks_hz: dict[int, float],
    place: Box,
    size_points: float,
    *,
    has_numbers: bool = True,
) -> None:
    """Draw ticks of frequency at the left of axes.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n_rows, n_columns, 3)
    ticks_hz : dict of int to float
        Frequencies, and how high they lie, from 0 at the bottom to 1 at the top.
    place : Box
        The axes.
    size_points : float
        Of the numbers.
    has_numbers : bool
    """
    for hz, height in ticks_hz.items():
        row = round(place.top + place.n_rows * (1.0 - height))
        labelled_tick(pixels, f"{hz:,}" if has_numbers else "", row, place.left, size_points)


def labelled_tick(pixels: Pixels, words: str, row: int, left: int, size_points: float) -> None:
    """Draw a tick at the left of axes, and what stands beside it."""
    tick_left(pixels, row, left)
    write(pixels, words, size_points, (left - _TO_NUMBERS, row + _BELOW_THE_MIDDLE), "right")
