"""SoundFonts by name: where this machine keeps them, and which file serves a program.

A *bank* is either one SoundFont file (`FluidR3_GM.sf2`) or a folder with one file per General MIDI program
(`000.sf3`, `008.sf3`, ...). Recipes name banks without folder and ending; they are looked for in the folders
of `TIMBRESCOPE_SOUNDFONT_PATH` (separated like `PATH`), then where Debian and Homebrew put them.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ml.errors import SystemDependencyError

DEFAULT_SOUNDFONT = "FluidR3_GM"
SEARCH_PATH_VARIABLE = "TIMBRESCOPE_SOUNDFONT_PATH"
SYSTEM_FOLDERS = (
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/sounds/sf3"),
    Path("/usr/share/soundfonts"),
    Path("/usr/local/share/soundfonts"),
    Path("/opt/homebrew/share/soundfonts"),
)
ENDINGS = (".sf2", ".sf3")
_LONGEST_ECHO = 200


class MissingSoundFontError(SystemDependencyError):
    """A SoundFont that is needed is not on this machine, or is no SoundFont."""

    code = "missing-soundfont"


class UnsuitableSoundFontError(MissingSoundFontError):
    """What is on this machine under that name does not serve: it is no SoundFont, or lacks a preset.

    Of a recipe that names it, this is the recipe's fault (`ml.synthesis.bank_check`).
    """


@dataclass(frozen=True)
class Bank:
    """A General MIDI bank on disk: one file, or a folder of one file per program."""

    name: str
    path: Path

    def file_for(self, program: int) -> Path:
        """The file that holds a program (counted from 0).

        Raises
        ------
        UnsuitableSoundFontError
            When a bank of single programs lacks this one.
        """
        if self.path.is_file():
            return self.path
        for ending in ENDINGS:
            candidate = self.path / f"{program:03d}{ending}"
            if candidate.is_file():
                return candidate
        raise UnsuitableSoundFontError(
            f"SoundFont bank {self.name} ({self.path}) has no file for program {program}."
        )

    def sha256(self) -> str:
        """Hash of the file, or of the folder's files in name order."""
        digest = hashlib.sha256()
        files = [self.path] if self.path.is_file() else sorted(self.path.iterdir())
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()


def search_folders() -> tuple[Path, ...]:
    """Folders in which banks are looked for, first match wins."""
    asked = os.environ.get(SEARCH_PATH_VARIABLE, "")
    return tuple(Path(folder) for folder in asked.split(os.pathsep) if folder) + SYSTEM_FOLDERS


def find_bank(name: str) -> Bank:
    """Find a bank by name or path.

    Parameters
    ----------
    name : str
        ``"FluidR3_GM"``, or the path of a SoundFont file or of a folder of single-program files.

    Returns
    -------
    Bank

    Raises
    ------
    MissingSoundFontError
        When there is none of that name; the message says how to install the default one.
    """
    given = Path(name)
    candidates = [given] if given.is_absolute() or given.suffix in ENDINGS else []
    for folder in search_folders():
        candidates += [folder / f"{name}{ending}" for ending in ENDINGS] + [folder / name]
    for candidate in candidates:
        if not _is_there(candidate):
            continue
        if candidate.is_dir() and any(candidate.glob("[0-9][0-9][0-9].sf[23]")):
            return Bank(given.name, candidate)
        if candidate.is_file():
            require_soundfont(candidate)
            return Bank(given.stem if given.suffix in ENDINGS else given.name, candidate)
    raise MissingSoundFontError(
        f"SoundFont {name[:_LONGEST_ECHO]} was not found. Debian: apt-get install fluid-soundfont-gm "
        f"(FluidR3_GM); elsewhere: put {given.stem[:_LONGEST_ECHO]}.sf2 into a folder named in "
        f"{SEARCH_PATH_VARIABLE}."
    )


def _is_there(candidate: Path) -> bool:
    """Whether there is such a file or folder; not, where no file system could have one of that name."""
    try:
        return candidate.exists()
    except OSError:
        return False


def require_soundfont(path: Path) -> None:
    """Check that a file says it is a SoundFont.

    Raises
    ------
    UnsuitableSoundFontError
        When it has no RIFF sfbk header.
    MissingSoundFontError
        When it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise MissingSoundFontError(f"The SoundFont {path} cannot be read: {error.strerror}.") from error
    if head[:4] != b"RIFF" or head[8:12] != b"sfbk":
        raise UnsuitableSoundFontError(f"{path} is not a SoundFont (no RIFF sfbk header).")
