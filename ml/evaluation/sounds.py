"""A folder of sounds for evaluation: SoundFont banks and recordings of real instruments.

Layout, every part of which may be missing::

    banks/NAME/000.sf3, 024.sf3, ...      one SoundFont per General MIDI program, its preset 0:PROGRAM
    real/notes/INSTRUMENT/PITCH_*.flac    single notes; a name begins with the MIDI pitch
    real/phrases/LABEL/*.flac             short solo phrases
    real/recordings/TITLE/*.flac          excerpts of pieces
    real/index.csv                        columns path, instrument_or_title, source_and_licence

Programs are counted from 0. Folders are named with underscores for spaces. An instrument's folder names a
label of the model (`Acoustic_Grand_Piano`); a phrase's may name anything (`Orchestra`). Paths in the index
are relative to `real/`.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml.errors import InvalidRequestError
from ml.synthesis.soundfonts import Bank


class MissingSoundsError(InvalidRequestError):
    """An evaluation needs sounds that are not there; the message names what is missing."""


@dataclass(frozen=True)
class RealSound:
    """A file of real sound.

    Attributes
    ----------
    path : Path
    folder_label : str
        What its folder says: an instrument, a label or a title, with spaces.
    source : str
        Where it comes from and its licence; empty where the index does not tell.
    """

    path: Path
    folder_label: str
    source: str


@dataclass(frozen=True)
class SoundsFolder:
    """The folder."""

    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise MissingSoundsError(f"The folder of sounds {self.path} does not exist.")

    @property
    def has_banks(self) -> bool:
        """Whether there is any bank."""
        return bool(self._bank_folders())

    def banks(self) -> tuple[Bank, ...]:
        """Its banks, by name.

        Raises
        ------
        MissingSoundsError
            When there are none.
        """
        if not self.has_banks:
            raise MissingSoundsError(f"{self.path} has no banks: nothing like banks/NAME/000.sf3 is in it.")
        return tuple(Bank(folder.name, folder) for folder in self._bank_folders())

    def notes(self) -> dict[str, tuple[RealSound, ...]]:
        """Single notes by instrument.

        Raises
        ------
        MissingSoundsError
        """
        found = self._real("notes", "notes/INSTRUMENT/PITCH_*.flac")
        return {
            label: tuple(sound for sound in found if sound.folder_label == label)
            for label in sorted({sound.folder_label for sound in found})
        }

    def phrases(self) -> tuple[RealSound, ...]:
        """Solo phrases.

        Raises
        ------
        MissingSoundsError
        """
        return self._real("phrases", "phrases/LABEL/*.flac")

    def recordings(self) -> tuple[RealSound, ...]:
        """Excerpts of pieces.

        Raises
        ------
        MissingSoundsError
        """
        return self._real("recordings", "recordings/TITLE/*.flac")

    def _bank_folders(self) -> list[Path]:
        return sorted({file.parent for file in self.path.glob("banks/*/[0-9][0-9][0-9].sf[23]")})

    def _real(self, kind: str, layout: str) -> tuple[RealSound, ...]:
        files = sorted(self.path.glob(f"real/{kind}/*/*.flac"))
        if not files:
            raise MissingSoundsError(f"{self.path} has no {kind}: nothing like real/{layout} is in it.")
        sources = self._sources()
        return tuple(
            RealSound(
                file,
                file.parent.name.replace("_", " "),
                sources.get(file.relative_to(self.path / "real").as_posix(), ""),
            )
            for file in files
        )

    def _sources(self) -> dict[str, str]:
        index = self.path / "real" / "index.csv"
        if not index.is_file():
            return {}
        with index.open(encoding="utf-8", newline="") as lines:
            return {row["path"]: row.get("source_and_licence") or "" for row in csv.DictReader(lines)}


def files_sha256(paths: Iterable[Path]) -> str:
    """One hash of several files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
