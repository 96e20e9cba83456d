"""What a report is made of: sections, each with figures for machines, words for people and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass

import numpy as np

from ml.evaluation.intervals import Interval
from ml.evaluation.markdown import number, table, with_interval

_DIGITS = 6  # of numbers in report.json: beyond that, machines differ by rounding


@dataclass(frozen=True)
class Target:
    """What a figure should reach at least, where that is set, and what is aimed at."""

    at_least: float | None
    aim: float


@dataclass(frozen=True)
class SummaryRow:
    """One line of the table that opens the report.

    Attributes
    ----------
    set_name : str
        What was heard.
    measure : str
    interval : Interval
    n_clips : int
    target : Target or None
    calibration_error : float or None
        `CalibrationErrors.mean`, where there is one.
    """

    set_name: str
    measure: str
    interval: Interval
    n_clips: int
    target: Target | None = None
    calibration_error: float | None = None


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes
    ----------
    name : str
        Its key in report.json.
    title : str
    summary : tuple of SummaryRow
    record : mapping
        Its figures: dataclasses, mappings, sequences, arrays, numbers and strings.
    text : str
        Markdown without the title; pictures are named as in `pictures`.
    pictures : mapping of str to bytes
        PNG files by name.
    files : mapping of str to bytes
        Other files that belong to it.
    """

    name: str
    title: str
    summary: tuple[SummaryRow, ...]
    record: Mapping[str, object]
    text: str
    pictures: Mapping[str, bytes]
    files: Mapping[str, bytes]


def summary_table(rows: Sequence[SummaryRow]) -> str:
    """The table that opens a report, in Markdown."""
    return table(
        ("set", "measure", "result [95 % interval]", "clips", "at least", "aim", "calibration error"),
        [
            (
                row.set_name,
                row.measure,
                with_interval(row.interval),
                f"{row.n_clips:,}",
                number(row.target.at_least) if row.target and row.target.at_least is not None else "",
                number(row.target.aim) if row.target else "",
                number(row.calibration_error) if row.calibration_error is not None else "",
            )
            for row in rows
        ],
    )


def plain(value: object) -> object:
    """JSON values: dataclasses and mappings become objects, arrays lists, NaN null; numbers are rounded."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else round(float(value), _DIGITS)
    if isinstance(value, np.integer):
        return int(value)
    return value
