"""How the offline commands speak: a console for people, JSON for programs, a bar while work goes on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def progress_bar(unit: str) -> Iterator[tuple[Progress, Any]]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar, bar.add_task(unit, total=None)


def print_json(value: object) -> None:
    print(json.dumps(value, indent=1))


def screen() -> Console:
    return Console(soft_wrap=True)
