"""Rows of the bench: what they leave behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bench import data


def test_the_row_of_data_sets_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(data, "N_CLIPS", 1)
    (row,) = data.ROWS
    row.measure(row.ratio_of)
    assert list(tmp_path.iterdir()) == []
