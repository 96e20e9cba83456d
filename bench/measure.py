"""Measuring one side against another, and what a row of the table says of it.

Both sides run in turns within one call, and their medians are compared: what else the machine does meanwhile
falls on both alike. (A yardstick that is a constant, such as a number of processes, has nothing to run.)
Nothing here is asserted; a row says what was measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Side = Callable[[], object]

FASTER, COST, MORE = "yardstick / measured", "measured / yardstick", "measured - yardstick"


@dataclass(frozen=True)
class Measurement:
    """A row's outcome.

    Attributes
    ----------
    measured_value, yardstick_value : float
        Medians of either side, in `unit`.
    ratio : float
        In the direction that the row's `ratio_of` says; of `MORE` the difference, in `unit`.
    spread : float
        (largest - smallest) / median of the measured side.
    """

    measured_value: float
    yardstick_value: float
    unit: str
    ratio: float
    spread: float


@dataclass(frozen=True)
class Row:
    """One comparison: what is measured, against which yardstick, and the target for their ratio.

    Attributes
    ----------
    ratio_of : {"yardstick / measured", "measured / yardstick", "measured - yardstick"}
        How many times faster, how many times the cost, or how much more.
    target, aim : str
        What the ratio should be at least, and what would be good.
    measure : callable
        Measures.
    """

    name: str
    measured: str
    yardstick: str
    ratio_of: str
    target: str
    measure: Callable[[str], Measurement]
    aim: str = ""


def interleaved(sides: Callable[[], tuple[Side, Side]], n_repeats: int = 7) -> Callable[[str], Measurement]:
    """Time two sides in turns, after one warm-up each.

    Parameters
    ----------
    sides : callable
        Makes both: measured, yardstick. Called when the row is measured.
    n_repeats : int

    Returns
    -------
    callable
        A row's `measure`, in milliseconds.
    """

    def measure(ratio_of: str) -> Measurement:
        measured, yardstick = sides()
        measured()
        yardstick()
        times_ms: tuple[list[float], list[float]] = ([], [])
        for _ in range(n_repeats):
            for side, taken_ms in zip((measured, yardstick), times_ms, strict=True):
                taken_ms.append(timed_ms(side))
        return compared(*times_ms, unit="ms", ratio_of=ratio_of)

    return measure


def timed_ms(side: Side) -> float:
    """How long a side takes once, in milliseconds."""
    started = time.perf_counter()
    side()
    return (time.perf_counter() - started) * 1e3


def compared(
    measured: Sequence[float], yardstick: Sequence[float], *, unit: str, ratio_of: str
) -> Measurement:
    """Compare the medians of what was measured of two sides.

    Parameters
    ----------
    measured, yardstick : sequence of float
        One value for each repeat.
    unit : str
    ratio_of : {"yardstick / measured", "measured / yardstick", "measured - yardstick"}
    """
    ours, theirs = statistics.median(measured), statistics.median(yardstick)
    ratios = {FASTER: theirs / ours, COST: ours / theirs, MORE: ours - theirs}
    return Measurement(
        measured_value=ours,
        yardstick_value=theirs,
        unit=unit,
        ratio=ratios[ratio_of],
        spread=(max(measured) - min(measured)) / ours,
    )
