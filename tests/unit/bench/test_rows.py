"""Rows of the bench: what they leave behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from bench import data, starting
from bench.__main__ import ROWS
from bench.table import REPORT


def test_the_row_of_data_sets_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(data, "N_CLIPS", 1)
    row = next(row for row in data.ROWS if row.name == "dataset")
    row.measure(row.ratio_of)
    assert list(tmp_path.iterdir()) == []


def test_what_was_measured_is_what_the_rows_say_now() -> None:
    measured = json.loads(REPORT.read_text(encoding="utf-8"))
    assert measured
    said = {row.name: {key: value for key, value in vars(row).items() if key != "measure"} for row in ROWS}
    for name, row in measured.items():
        assert said[name].items() <= row.items(), f"{name}: measured before the row was changed"


def test_rendering_with_two_processes_is_measured_in_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name, value in {"N_CLIPS_SHARED": 2, "CLIPS_PER_SHARD": 1, "N_BUILDS": 1}.items():
        monkeypatch.setattr(data, name, value)
    row = next(row for row in data.ROWS if row.name == "cores")
    found = row.measure(row.ratio_of)
    assert (found.unit, found.yardstick_value) == ("cores", 2.0)
    assert found.ratio == pytest.approx(found.measured_value / 2.0)
    assert 0.0 < found.measured_value < 4.0
    assert list(tmp_path.iterdir()) == []


def test_a_start_is_measured_in_seconds_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "N_STARTS", 1)
    row = next(row for row in starting.ROWS if row.name == "api-start")
    found = row.measure(row.ratio_of)
    assert found.unit == "s"
    assert found.ratio == pytest.approx(found.measured_value - found.yardstick_value)
    assert 0.0 < found.yardstick_value < found.measured_value


def test_a_program_that_ends_at_once_was_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with code"):
        starting._until_there_s("nothing", {}, tmp_path / "log", lambda: False)
