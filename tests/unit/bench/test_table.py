"""The README's table: ratios and differences, each with what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.measure import COST, FASTER, MORE
from bench.table import table


@pytest.mark.parametrize(
    ("ratio_of", "unit", "ratio", "outcome"),
    [
        (FASTER, "ms", 12.345, "12.3 x faster"),
        (COST, "ms", 0.444, "0.444 x"),
        (MORE, "MB", 171.6, "+172 MB"),
        (MORE, "s", -0.25, "-0.25 s"),
    ],
)
def test_an_outcome_says_what_it_is(
    tmp_path: Path, ratio_of: str, unit: str, ratio: float, outcome: str
) -> None:
    row = {
        "name": "rows",
        "measured": "ours",
        "yardstick": "theirs",
        "ratio_of": ratio_of,
        "target": ">= 1",
        "aim": "",
        "measured_value": 1234.5,
        "yardstick_value": 2.0,
        "unit": unit,
        "ratio": ratio,
        "machine": "two cores",
    }
    path = tmp_path / "speed.json"
    path.write_text(json.dumps({"rows": row}), encoding="utf-8")
    line = f"| `rows` | ours: 1,234 {unit} | theirs: 2 {unit} | >= 1 |  | **{outcome}** |"
    assert table(path).splitlines()[2:] == [line, "", "two cores"]
