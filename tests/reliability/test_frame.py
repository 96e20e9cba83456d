"""The frame of the reliability tests: sizes, reports and the table made of them."""

import json
from pathlib import Path

import pytest

from tests.reliability.conftest import Size
from tests.reliability.report import Report
from tests.reliability.rows import ROWS
from tests.reliability.table import UNMEASURED, table


def test_a_size_chooses_a_number() -> None:
    assert (Size(is_full=False).of(60, 300), Size(is_full=True).of(60, 300)) == (60, 300)


def test_a_full_run_keeps_its_parts_side_by_side_and_replaces_one_run_anew(tmp_path: Path) -> None:
    report = Report(is_full=True, seed=7, folder=tmp_path)
    report.keep("redis", "stopped", "a", {"lost": 1})
    report.keep("redis", "cut", "b", {"lost": 0})
    report.keep("redis", "stopped", "c", {"lost": 0})
    document = json.loads((tmp_path / "redis.json").read_text())
    assert document["row"] == "redis"
    assert {name: part["figures"] for name, part in document["parts"].items()} == {
        "stopped": {"lost": 0},
        "cut": {"lost": 0},
    }
    assert document["parts"]["cut"]["seed"] == 7
    assert document["parts"]["cut"]["versions"]["redis"]
    lines = table(tmp_path).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert sum(line.endswith("| c; b |") for line in lines) == 1
    assert sum(line.endswith(f"| {UNMEASURED} |") for line in lines) == len(ROWS) - 1


def test_a_short_run_keeps_nothing(tmp_path: Path) -> None:
    Report(is_full=False, seed=1, folder=tmp_path).keep("redis", "stopped", "a", {})
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_the_table_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no row 'rdis'"):
        Report(is_full=False, seed=1, folder=tmp_path).keep("rdis", "stopped", "a", {})
