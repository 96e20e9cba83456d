"""A report: what was measured, section by section, as JSON, Markdown and PNG.

It says all that its figures depend on: the model's hash, the recipes, each bank's hash, seed, versions and
the command. Made again with the same of these it is the same to the byte, so it holds no date.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ml.errors import StorageError
from ml.evaluation.provenance import ModelRecord, versions
from ml.evaluation.sections import Section, SummaryRow, plain, summary_table

FORMAT_VERSION = 1
JSON_NAME, MARKDOWN_NAME = "report.json", "report.md"


@dataclass(frozen=True)
class EvaluationReport:
    """How well a model did.

    Attributes
    ----------
    model : ModelRecord
    compared : tuple of ModelRecord
    sections : tuple of Section
    skipped : mapping of str to str
        Suites that were left out of ``all``, and why.
    n_clips, seed : int
    command, tried : str
        As in the settings.
    versions : mapping of str to str
    """

    model: ModelRecord
    compared: tuple[ModelRecord, ...]
    sections: tuple[Section, ...]
    skipped: Mapping[str, str]
    n_clips: int
    seed: int
    command: str
    tried: str
    versions: Mapping[str, str] = field(default_factory=versions)

    @property
    def summary(self) -> tuple[SummaryRow, ...]:
        """The rows of the opening table."""
        return tuple(row for section in self.sections for row in section.summary)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        fields = {
            "format_version": FORMAT_VERSION,
            "command": self.command,
            "model": self.model,
            "compared": self.compared,
            "n_clips": self.n_clips,
            "seed": self.seed,
            "versions": self.versions,
            "summary": self.summary,
            "suites": {section.name: section.record for section in self.sections},
            "skipped": self.skipped,
        }
        return {key: plain(value) for key, value in fields.items()}

    def to_markdown(self) -> str:
        """The report for people; it begins with the table of results."""
        sounds = "\n".join(
            f"- {sound['name']} ({sound['licence']}), `{sound['sha256'][:12]}`" for sound in self.model.sounds
        )
        parts = [
            f"# How well `{self.model.id}` hears",
            summary_table(self.summary) if self.summary else "No suite of this report has a figure.",
            "In brackets: 95 % percentile bootstrap intervals over clips. Macro-F1 is the mean over the "
            "instruments that occur, by the model's own thresholds. A calibration error is the mean over "
            "instruments of the expected calibration error, over 15 bins of equal mass; *pooled*: of all "
            "pairs of clip and instrument together.",
            f"Made by\n\n```sh\n{self.command}\n```",
            f"Model `{self.model.id}`, SHA-256 `{self.model.sha256}`: network {self.model.network}, data set "
            f"{self.model.recipe} (digest `{self.model.dataset_digest[:16]}`), trained on these "
            f"banks:\n\n{sounds}",
        ]
        parts += [f"Left out: {suite}. {reason}" for suite, reason in self.skipped.items()]
        parts += [f"## {section.title}\n\n{section.text}" for section in self.sections]
        if self.tried:
            parts.append(f"## What was tried\n\n{self.tried.strip()}")
        used = ", ".join(f"{package} {number}" for package, number in self.versions.items())
        parts.append(f"## Versions\n\nSeed {self.seed}, {self.n_clips:,} clips of each fresh set. {used}.")
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path) -> None:
        """Write report.json, report.md and what belongs to them.

        Raises
        ------
        StorageError
            When the folder cannot be made or written.
        """
        files: dict[str, bytes] = {
            JSON_NAME: (json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n").encode(),
            MARKDOWN_NAME: self.to_markdown().encode(),
        }
        for section in self.sections:
            files |= {**section.pictures, **section.files}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (folder / name).write_bytes(data)
        except OSError as error:
            raise StorageError(f"The report cannot be written to {folder}: {error.strerror}.") from error
