"""`python -m tests.reliability [ROW ...]`: the full form of all rows of the table, or of those named.

Each row writes its figures to `reports/reliability/`; at the end the table is printed.
"""

import argparse
import subprocess
import sys

from tests.reliability.rows import ROWS, Row
from tests.reliability.table import table

_SOAK = (sys.executable, "-m", "tests.reliability.soak")


def main() -> int:
    """Runs the rows one after the other, those that fail too; 1 when one has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(row.name for row in ROWS))
    parser.add_argument("--seed", type=int, default=None, help="for whatever is random")
    asked = parser.parse_args()
    unknown = set(asked.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in ROWS)}")
    chosen = [row for row in ROWS if not asked.rows or row.name in asked.rows]
    seed = [] if asked.seed is None else ["--seed", str(asked.seed)]
    failed = [row.name for row in chosen if subprocess.run([*_command(row), *seed], check=False).returncode]
    print(table())
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _command(row: Row) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "--full", *row.paths) if row.files else _SOAK


if __name__ == "__main__":
    sys.exit(main())
