"""What a full run measured, kept as JSON in `reports/reliability/`, one file for each row of the table.

Conventions: a row has parts, usually one for each test; a part holds its figures, in units that their names
say, and one sentence for the table. Running a part anew replaces it and leaves the others.
"""

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.reliability.rows import ROWS

REPORTS = Path(__file__).resolve().parents[2] / "reports" / "reliability"
_LIBRARIES = ("celery", "kombu", "redis", "uvicorn", "torch")


@dataclass(frozen=True)
class Report:
    """Keeps what a test measured, if this run is a full one."""

    is_full: bool
    seed: int
    folder: Path = REPORTS
    began_at: float = field(default_factory=time.monotonic)

    def keep(self, row: str, part: str, measured: str, figures: Mapping[str, object]) -> None:
        """Writes a part of a row: `measured` is what the table says of it."""
        if row not in {each.name for each in ROWS}:
            raise ValueError(f"The table has no row {row!r}.")
        if not self.is_full:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{row}.json"
        parts = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}
        parts[part] = {
            "measured": measured,
            "figures": dict(figures),
            "seed": self.seed,
            "elapsed_s": round(time.monotonic() - self.began_at, 1),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
        }
        document = {"row": row, "parts": parts}
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> str:
    """This machine, in words."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {gib:.0f} GiB"


def versions() -> dict[str, str]:
    """What took part."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
