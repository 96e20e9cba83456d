"""`python -m tests.reliability.table`: the README's table, from the reports of full runs."""

import json
from pathlib import Path

from tests.reliability.report import REPORTS
from tests.reliability.rows import ROWS

UNMEASURED = "not measured yet"


def table(folder: Path = REPORTS) -> str:
    """The table in Markdown, one line for each row."""
    lines = ["| `ROW=` | test | must hold | measured |", "|---|---|---|---|"]
    for row in ROWS:
        lines.append(
            f"| `{row.name}` | {row.test} | {row.must_hold} | {_measured(folder / f'{row.name}.json')} |"
        )
    return "\n".join(lines)


def _measured(path: Path) -> str:
    if not path.exists():
        return UNMEASURED
    parts = json.loads(path.read_text(encoding="utf-8"))["parts"].values()
    return "; ".join(part["measured"] for part in parts)


if __name__ == "__main__":
    print(table())
