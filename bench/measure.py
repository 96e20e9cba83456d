"""Timing two sides against each other.

Both sides run in turns, `n_repeats` times after one warm-up each, and their medians are compared: what else
the machine does meanwhile falls on both alike. Nothing here is asserted; a row says what was measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Side = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One comparison: what is measured, against which yardstick, and the target for their ratio.

    `ratio_of` says which way the ratio is read: ``"yardstick / measured"`` (how many times faster) or
    ``"measured / yardstick"`` (how many times the cost).
    """

    name: str
    measured: str
    yardstick: str
    ratio_of: str
    target: str
    sides: Callable[[], tuple[Side, Side]]
    n_repeats: int = 7


@dataclass(frozen=True)
class Measurement:
    """A row's outcome: medians in milliseconds, their ratio, and the spread of the measured side's times."""

    name: str
    measured: str
    yardstick: str
    measured_ms: float
    yardstick_ms: float
    ratio_of: str
    ratio: float
    target: str
    spread: float


def run(row: Row) -> Measurement:
    """Measure a row.

    Returns
    -------
    Measurement
        `spread` is (slowest - fastest) / median of the measured side.
    """
    measured, yardstick = row.sides()
    measured()
    yardstick()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(row.n_repeats):
        for side, taken in zip((measured, yardstick), times, strict=True):
            started = time.perf_counter()
            side()
            taken.append(time.perf_counter() - started)
    ours, theirs = statistics.median(times[0]), statistics.median(times[1])
    return Measurement(
        name=row.name,
        measured=row.measured,
        yardstick=row.yardstick,
        measured_ms=ours * 1e3,
        yardstick_ms=theirs * 1e3,
        ratio_of=row.ratio_of,
        ratio=theirs / ours if row.ratio_of == "yardstick / measured" else ours / theirs,
        target=row.target,
        spread=(max(times[0]) - min(times[0])) / ours,
    )
