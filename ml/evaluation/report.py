"""Evaluation: suites are listened to, reported on section by section, and written as JSON, Markdown and PNG.

A report says all that its figures depend on: the model's hash, the recipes, each bank's hash, seed, versions
and the command. Made again with the same of these it is the same to the byte, so it holds no date.
Intervals are 95 % percentile bootstrap intervals over clips.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml.checkpoint import ModelCard, read_card
from ml.errors import InvalidRequestError, StorageError, TimbrescopeError
from ml.evaluation.clips import ClipSet
from ml.evaluation.comparison import comparison_section
from ml.evaluation.listening import Heard, Progress, hear
from ml.evaluation.provenance import ModelRecord, model_record, versions
from ml.evaluation.sections import Section, SummaryRow, plain, summary_table
from ml.evaluation.sounds import SoundsFolder
from ml.evaluation.suites.registry import ALL, suites_named
from ml.evaluation.suites.suite import Request, Suite
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import Bank

FORMAT_VERSION = 1
JSON_NAME, MARKDOWN_NAME = "report.json", "report.md"


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate and on what.

    Attributes
    ----------
    model : Path
        Folder of the model that the report is about.
    suites : tuple of str
        Names; ``all`` means every one for which there is what it needs.
    n_clips : int
        Clips of each set that is made freshly.
    seed : int
        Must not be that of the model's training data.
    sounds : Path or None
        Folder of banks and real recordings (`ml.evaluation.sounds`).
    banks : tuple of Bank
    recipes : tuple of Recipe
    compared : tuple of Path
        Folders of other models, which hear the same clips.
    command : str
        The command that makes the report again.
    tried : str
        Text to append: what was tried.
    """

    model: Path
    suites: tuple[str, ...] = ("protocol",)
    n_clips: int = 200
    seed: int = 1_000_003
    sounds: Path | None = None
    banks: tuple[Bank, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    compared: tuple[Path, ...] = ()
    command: str = ""
    tried: str = ""


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


def evaluate(
    settings: EvaluationSettings,
    *,
    n_jobs: int = 1,
    device: str = "cpu",
    on_progress: Progress | None = None,
) -> EvaluationReport:
    """Evaluate a model.

    Parameters
    ----------
    settings : EvaluationSettings
    n_jobs : int
        Processes; their number changes nothing in the report.
    device : {"auto", "cpu", "cuda"}
    on_progress : callable, optional
        Called with (clips done, clips in all).

    Returns
    -------
    EvaluationReport

    Raises
    ------
    InvalidRequestError
        When a suite does not exist or the model cannot be tested on it, or compared models differ in labels.
    MissingSoundsError, SystemDependencyError
        When sounds are missing for a suite that was asked for by name, or for all of them.
    """
    card = read_card(settings.model)
    others = tuple(read_card(folder) for folder in settings.compared)
    _require_same_labels(card, others)
    request = Request(
        card=card,
        n_clips=settings.n_clips,
        seed=settings.seed,
        sounds=SoundsFolder(settings.sounds) if settings.sounds is not None else None,
        banks=settings.banks,
        recipes=settings.recipes,
    )
    planned, skipped = _plan(request, settings.suites)
    heard = hear(
        (settings.model, *settings.compared),
        [clip_set for _, sets in planned for clip_set in sets],
        card.labels,
        n_jobs=n_jobs,
        device=device,
        on_progress=on_progress,
    )
    return EvaluationReport(
        model=model_record(card),
        compared=tuple(model_record(other) for other in others),
        sections=_sections(request, planned, heard, (card, *others)),
        skipped=skipped,
        n_clips=settings.n_clips,
        seed=settings.seed,
        command=settings.command,
        tried=settings.tried,
    )


def _plan(
    request: Request, names: tuple[str, ...]
) -> tuple[list[tuple[Suite, tuple[ClipSet, ...]]], dict[str, str]]:
    """What to hear for each suite, and why suites are left out of ``all``."""
    planned, skipped = [], {}
    for suite in suites_named(names):
        try:
            planned.append((suite, suite.clip_sets(request)))
        except TimbrescopeError as error:
            if suite.name in names or ALL not in names:
                raise
            skipped[suite.name] = str(error)
    if not planned:
        reasons = " ".join(f"{suite}: {reason}" for suite, reason in skipped.items())
        raise InvalidRequestError(f"Nothing can be evaluated. {reasons}")
    return planned, skipped


def _sections(
    request: Request,
    planned: Sequence[tuple[Suite, tuple[ClipSet, ...]]],
    heard: Sequence[Sequence[Heard]],
    cards: Sequence[ModelCard],
) -> tuple[Section, ...]:
    sections, first = [], 0
    for suite, sets in planned:
        ours = [by_model[0] for by_model in heard[first : first + len(sets)]]
        first += len(sets)
        sections.append(suite.section(request, ours))
    if len(cards) > 1 and any(by_model[0].clip_set.measure is not None for by_model in heard):
        names, described = [card.id for card in cards], [model_record(card).described for card in cards]
        sections.append(comparison_section(heard, _distinct(names), described, request.seed))
    return tuple(sections)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names with a number behind those that came before."""
    return [
        name if names[:index].count(name) == 0 else f"{name} ({names[:index].count(name) + 1})"
        for index, name in enumerate(names)
    ]


def _require_same_labels(card: ModelCard, others: Sequence[ModelCard]) -> None:
    for other in others:
        if set(other.labels) != set(card.labels):
            raise InvalidRequestError(
                f"{other.id} cannot be compared with {card.id}: it has other labels "
                f"({', '.join(sorted(set(other.labels) ^ set(card.labels)))})."
            )
