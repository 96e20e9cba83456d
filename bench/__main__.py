"""`python -m bench [ROW ...] [--json FILE]`: measure all rows, or those named.

`python -m bench.table` prints the README's table from `reports/speed.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from bench import browser, data, maps, recordings, requests, serving, starting
from bench.measure import Measurement, Row
from worker.memory import HUGE_PAGES

ROWS = (
    *maps.ROWS,
    *requests.ROWS,
    *recordings.ROWS,
    *data.ROWS,
    *serving.ROWS,
    *starting.ROWS,
    *browser.ROWS,
)

TABLE_WIDTH = 170


def main() -> None:
    """Measure, print the table, and write it as JSON when asked to.

    Both sides of every row run with the memory settings of a worker.
    """
    if not HUGE_PAGES.keys() <= os.environ.keys():  # the C library reads them when a process starts
        os.execve(
            sys.executable, [sys.executable, "-m", "bench", *sys.argv[1:]], {**os.environ, **HUGE_PAGES}
        )
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(row.name for row in ROWS))
    parser.add_argument(
        "--json", type=Path, help="write the measurements to this file too; others in it stay"
    )
    asked = parser.parse_args()
    unknown = set(asked.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in ROWS)}")
    rows = [row for row in ROWS if not asked.rows or row.name in asked.rows]
    measurements = [(row, row.measure(row.ratio_of)) for row in rows]
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
    Console(width=TABLE_WIDTH).print(_table(measurements, machine))
    if asked.json is not None:
        keep(asked.json, [{**_document(*each), "machine": machine} for each in measurements])


def keep(path: Path, rows: list[dict[str, object]]) -> None:
    """Write rows to a file of measurements; what it says of other rows stays."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept |= {str(row["name"]): row for row in rows}
    ordered = {row.name: kept[row.name] for row in ROWS if row.name in kept}
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def _table(measurements: list[tuple[Row, Measurement]], machine: str) -> Table:
    table = Table(title=machine)
    for heading in (
        "row",
        "measured",
        "",
        "yardstick",
        "",
        "unit",
        "ratio",
        "is",
        "at least",
        "aim",
        "spread",
    ):
        table.add_column(heading, justify="right" if heading in ("", "ratio", "spread") else "left")
    for row, found in measurements:
        table.add_row(
            row.name,
            row.measured,
            f"{found.measured_value:.1f}",
            row.yardstick,
            f"{found.yardstick_value:.1f}",
            found.unit,
            f"{found.ratio:.2f}",
            row.ratio_of,
            row.target,
            row.aim,
            f"{found.spread:.0%}",
        )
    return table


def _document(row: Row, found: Measurement) -> dict[str, object]:
    """A row as JSON: all that it says, and what was found."""
    said = {name: value for name, value in vars(row).items() if name != "measure"}
    return {**said, **asdict(found)}


if __name__ == "__main__":
    main()
