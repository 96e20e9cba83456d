"""What numba compiles is kept where there is a place for it, and works where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ml

USE = """
import numpy as np
from ml.relevance import kernel
assert kernel.__file__.startswith({folder!r}), kernel.__file__
winners = np.zeros(1, np.uint8)
shape = tuple(np.uintp(n) for n in (1, 1, 1, 2))
kernel.winners_of(np.array([0.0, 1.0, 3.0, 2.0]), shape, winners)
print(*winners)
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code; files take the place of the folders that numba would write to, for any user."""
    kept_out = shutil.ignore_patterns("__pycache__", "checkpoints", "*.nbi", "*.nbc")
    shutil.copytree(Path(ml.__file__).parent, tmp_path / "ml", ignore=kept_out)
    (tmp_path / "ml" / "relevance" / "__pycache__").touch()
    (tmp_path / "home").touch()
    return tmp_path


def used(code: Path, program: str, **environment: str) -> str:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_", "PYTHON"))
    }
    found = subprocess.run(
        [sys.executable, "-c", program.format(folder=str(code))],
        check=False,
        capture_output=True,
        text=True,
        cwd=code,
        env={**kept, "HOME": str(code / "home"), **environment},
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def keeping(elsewhere: Path) -> str:
    return (
        "from pathlib import Path; from ml.relevance.compiled import keep_elsewhere; "
        f"keep_elsewhere(Path({str(elsewhere)!r}))"
    )


def kept_in(folder: Path) -> set[str]:
    return {path.suffix for path in folder.rglob("kernel.winners_of*")}


def test_without_a_place_each_process_compiles_for_itself(code: Path) -> None:
    assert used(code, USE) == "2"
    assert kept_in(code) == set()


def test_where_the_code_cannot_be_written_to_it_is_kept_elsewhere(code: Path) -> None:
    elsewhere = code / "state" / "compiled"
    assert used(code, keeping(elsewhere) + USE) == "2"
    assert kept_in(elsewhere) == {".nbi", ".nbc"}


def test_a_folder_that_is_named_comes_first(code: Path) -> None:
    named, elsewhere = code / "named", code / "elsewhere"
    assert used(code, keeping(elsewhere) + USE, NUMBA_CACHE_DIR=str(named)) == "2"
    assert (kept_in(named), kept_in(elsewhere)) == ({".nbi", ".nbc"}, set())


def test_elsewhere_that_cannot_be_written_to_is_no_place(code: Path) -> None:
    assert used(code, keeping(code / "home") + USE) == "2"
    assert kept_in(code) == set()


def test_what_can_be_kept_beside_the_code_is(code: Path) -> None:
    beside = code / "ml" / "relevance" / "__pycache__"
    beside.unlink()
    assert used(code, keeping(code / "elsewhere") + USE) == "2"
    assert kept_in(code) == kept_in(beside) == {".nbi", ".nbc"}
