"""Evaluation: suites say what to hear, every model hears it, and each suite reports on what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml.checkpoint import ModelCard, read_card
from ml.errors import InvalidRequestError, TimbrescopeError
from ml.evaluation.clips import ClipSet
from ml.evaluation.comparison import comparison_section
from ml.evaluation.explanations.section import Ask, explanations_section
from ml.evaluation.listening import Heard, Progress, hear
from ml.evaluation.provenance import model_record
from ml.evaluation.report import EvaluationReport
from ml.evaluation.sections import Section
from ml.evaluation.sounds import SoundsFolder
from ml.evaluation.suites.registry import ALL, suites_named
from ml.evaluation.suites.suite import Request, Suite
from ml.relevance.methods import method_named
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import Bank


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
    datasets : tuple of str
        Folders or URLs.
    compared : tuple of Path
        Folders of other models, which hear the same clips.
    command : str
        The command that makes the report again.
    tried : str
        Text to append: what was tried.
    explanations : bool
        Whether explanations are scored too; with no suite, they alone.
    methods : tuple of str
        Methods of relevance to compare; the first is the one that the report is about. None: all of them, and
        the default one.
    """

    model: Path
    suites: tuple[str, ...] = ("protocol",)
    n_clips: int = 200
    seed: int = 1_000_003
    sounds: Path | None = None
    banks: tuple[Bank, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    datasets: tuple[str, ...] = ()
    compared: tuple[Path, ...] = ()
    command: str = ""
    tried: str = ""
    explanations: bool = False
    methods: tuple[str, ...] = ()


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
        When a suite or method does not exist or the model cannot be tested on it, or compared models differ
        in labels.
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
        datasets=settings.datasets,
        compared=others,
    )
    if settings.methods and not settings.explanations:
        raise InvalidRequestError("Methods are compared with explanations; ask for --explanations.")
    for name in settings.methods:
        method_named(name)  # before anything is heard
    alone = settings.explanations and not settings.suites
    planned, skipped = ([], {}) if alone else _plan(request, settings.suites)
    heard = hear(
        (settings.model, *settings.compared),
        [clip_set for _, sets in planned for clip_set in sets],
        card.labels,
        n_jobs=n_jobs,
        device=device,
        on_progress=on_progress,
    )
    sections = _sections(request, planned, heard, (card, *others))
    if settings.explanations:
        ask = Ask(
            request,
            (settings.model, *settings.compared),
            _distinct([each.id for each in (card, *others)]),
            settings.methods,
        )
        sections += (explanations_section(ask, n_jobs=n_jobs, device=device, on_progress=on_progress),)
    return EvaluationReport(
        model=model_record(card),
        compared=tuple(model_record(other) for other in others),
        sections=sections,
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


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names with a number behind those that came before."""
    return tuple(
        name if names[:index].count(name) == 0 else f"{name} ({names[:index].count(name) + 1})"
        for index, name in enumerate(names)
    )


def _require_same_labels(card: ModelCard, others: Sequence[ModelCard]) -> None:
    for other in others:
        if set(other.labels) != set(card.labels):
            raise InvalidRequestError(
                f"{other.id} cannot be compared with {card.id}: it has other labels "
                f"({', '.join(sorted(set(other.labels) ^ set(card.labels)))})."
            )
