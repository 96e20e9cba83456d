"""Rows of the bench: what they leave behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bench import rows


def test_the_row_of_data_sets_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(rows, "N_DATASET_CLIPS", 1)
    (row,) = (row for row in rows.ROWS if row.name == "dataset")
    for side in row.sides():
        side()
    assert list(tmp_path.iterdir()) == []
