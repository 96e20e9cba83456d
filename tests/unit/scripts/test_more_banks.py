"""The script that makes more banks: it makes all that the recipe asks for, and says what it lacks."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ml.synthesis.bank_choice import SplitBanks, choices
from ml.synthesis.recipe import read_recipe

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "more_banks.sh"
SUMS = ROOT / "scripts" / "more_banks.sha256"


def made() -> dict[str, set[int]]:
    """The programs of each bank that the list of checksums has."""
    found: dict[str, set[int]] = {}
    for line in SUMS.read_text().splitlines():
        digest, path = line.split("  ")
        bank, file = path.split("/")
        assert len(bytes.fromhex(digest)) == 32
        found.setdefault(bank, set()).add(int(file.removesuffix(".sf2")))
    return found


def run(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    shell = shutil.which("sh")
    assert shell
    return subprocess.run(
        [shell, str(SCRIPT), *arguments], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH that has what the script needs before it fetches anything."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dirname", "sha256sum"):
        found = shutil.which(name)
        if not found:
            pytest.skip(f"{name} is not on this machine")
        (folder / name).symlink_to(found)
    for name in ("apt-get", "dpkg-deb", "npm", "tar"):  # none of them is run: only looked for
        (folder / name).write_text("#!/bin/false\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_recipe_finds_every_program_that_it_asks_of_these_banks() -> None:
    recipe = read_recipe(ROOT / "recipes" / "many-banks.yaml")
    assert not isinstance(recipe.soundfonts, SplitBanks)
    asked = {
        choice.name: {player.program for player in recipe.vocabulary if choice.serves([player.name])}
        for choice in choices(recipe.soundfonts)
        if choice.name in made()
    }
    # 32 is in GeneralUser-GS too, 64 has short loops: they are part of the bank, but nothing learns from them
    not_asked = {"FreePats-2006": {32, 64}}
    assert {bank: asked[bank] | not_asked.get(bank, set()) for bank in asked} == made()


@pytest.mark.parametrize("bank", sorted(made()))
def test_the_script_names_every_bank(bank: str) -> None:
    text = SCRIPT.read_text()
    assert f"organ {bank.removeprefix('setBfree-')} " in text or f" {bank}/" in text or f'"{bank}/' in text


@pytest.mark.parametrize("missing", ["apt-get", "dpkg-deb", "npm", "tar"])
def test_a_client_that_is_missing_is_named(programs: Path, tmp_path: Path, missing: str) -> None:
    (programs / missing).unlink()
    done = run(str(tmp_path / "out"), path=programs)
    assert done.returncode == 1
    assert f"more banks: {missing} is missing: " in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_interpreter_without_the_libraries_is_named(programs: Path, tmp_path: Path) -> None:
    shell = shutil.which("sh")
    done = subprocess.run(
        [str(shell), str(SCRIPT), str(tmp_path / "out")],
        env={"PATH": str(programs), "PYTHON": "/nowhere/python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "/nowhere/python does not run or lacks numpy and soundfile" in done.stderr


def test_a_folder_has_to_be_named(programs: Path) -> None:
    done = run(path=programs)
    assert done.returncode == 1
    assert "usage: sh scripts/more_banks.sh OUT_DIR" in done.stderr


def test_the_whole_script_can_be_parsed() -> None:
    assert subprocess.run([str(shutil.which("sh")), "-n", str(SCRIPT)], check=False).returncode == 0
