"""`python -m bench [ROW ...] [--json FILE]`: measure all rows, or those named."""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from bench import browser, rows
from bench.measure import Measurement, run

ROWS = (*rows.ROWS, *browser.ROWS)

TABLE_WIDTH = 150


def main() -> None:
    """Measure, print the table, and write it as JSON when asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(row.name for row in ROWS))
    parser.add_argument("--json", type=Path, help="write the measurements to this file too")
    asked = parser.parse_args()
    unknown = set(asked.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in ROWS)}")
    measurements = [run(row) for row in ROWS if not asked.rows or row.name in asked.rows]
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
    Console(width=TABLE_WIDTH).print(_table(measurements, machine))
    if asked.json is not None:
        document = {"machine": machine, "rows": [asdict(measurement) for measurement in measurements]}
        asked.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _table(measurements: list[Measurement], machine: str) -> Table:
    table = Table(title=machine)
    for heading in ("row", "measured", "ms", "yardstick", "ms", "ratio", "is", "target", "spread"):
        table.add_column(heading, justify="right" if heading in ("ms", "ratio", "spread") else "left")
    for m in measurements:
        table.add_row(
            m.name,
            m.measured,
            f"{m.measured_ms:.1f}",
            m.yardstick,
            f"{m.yardstick_ms:.1f}",
            f"{m.ratio:.2f}",
            m.ratio_of,
            m.target,
            f"{m.spread:.0%}",
        )
    return table


if __name__ == "__main__":
    main()
