"""Tables and numbers of a report, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ml.evaluation.intervals import Interval


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; vertical bars in cells are kept apart from the table's own."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float, digits: int = 3) -> str:
    """A number with so many decimals, or a dash where it is undefined."""
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def with_interval(interval: Interval) -> str:
    """A value and its interval, as in ``0.991 [0.982, 0.997]``."""
    if np.isnan(interval.value):
        return "–"
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def percent(share: float) -> str:
    """A share in whole per cent, or a dash where it is undefined."""
    return "–" if np.isnan(share) else f"{100.0 * share:.0f} %"


def picture(name: str, words: str) -> str:
    """A picture that lies beside the report."""
    return f"![{words}]({name})"
