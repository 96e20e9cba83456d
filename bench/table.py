"""`python -m bench.table`: the README's table, from what `make bench` measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.measure import FASTER, MORE

REPORT = Path("reports/speed.json")


def table(path: Path = REPORT) -> str:
    """The table in Markdown, one line for each row, and the machine below."""
    rows: list[dict[str, Any]] = list(json.loads(path.read_text(encoding="utf-8")).values())
    lines = ["| `ROW=` | measured | yardstick | at least | aim | outcome |", "|---|---|---|---|---|---|"]
    for row in rows:
        measured = f"{row['measured']}: {_number(row['measured_value'])} {row['unit']}"
        yardstick = f"{row['yardstick']}: {_number(row['yardstick_value'])} {row['unit']}"
        lines.append(
            f"| `{row['name']}` | {measured} | {yardstick} | {row['target']} | {row['aim']} "
            f"| **{_outcome(row)}** |"
        )
    machines = sorted({str(row["machine"]) for row in rows})
    return "\n".join([*lines, "", *machines])


def _outcome(row: dict[str, Any]) -> str:
    if row["ratio_of"] == MORE:
        return f"{'+' if row['ratio'] >= 0 else '-'}{_number(abs(row['ratio']))} {row['unit']}"
    return f"{_number(row['ratio'])} x{' faster' if row['ratio_of'] == FASTER else ''}"


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    print(table())
