"""The section of a report about explanations: all clips explained, all figures, words and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml.evaluation.explanations.breakdown import by_energy, by_instrument, by_number
from ml.evaluation.explanations.contenders import Contender, contenders_of
from ml.evaluation.explanations.curves import bands_of
from ml.evaluation.explanations.evidence import evidence_figures
from ml.evaluation.explanations.example import choose_example, draw_example
from ml.evaluation.explanations.material import ExplainedSet, explained_sets, listened_clips
from ml.evaluation.explanations.measures import figures_of, relevance_on_stems
from ml.evaluation.explanations.method_table import MethodRow, method_rows, seconds_table
from ml.evaluation.explanations.pictures import draw_contenders, draw_curves, draw_on_stems
from ml.evaluation.explanations.running import Explained, explain_all
from ml.evaluation.explanations.steadiness import steadiness_of
from ml.evaluation.explanations.summary import summary_rows
from ml.evaluation.explanations.wording import Material, bank_words, section_text
from ml.evaluation.listening import Progress
from ml.evaluation.sections import Section
from ml.evaluation.suites.suite import Request
from ml.instruments import slug_of
from ml.relevance.methods import method_named

NAME, TITLE = "explanations", "Explanations"
SECONDS_NAME = "explanations-seconds.md"


@dataclass(frozen=True)
class Ask:
    """What is asked of the section.

    Attributes
    ----------
    request : Request
    folders : tuple of Path
        Of the model that the report is about, then of compared ones.
    names : tuple of str
        What the models are called, all different.
    methods : tuple of str
        Of the table; the first is the one that the report is about. None: all methods, about the default.
    """

    request: Request
    folders: tuple[Path, ...]
    names: tuple[str, ...]
    methods: tuple[str, ...]

    @property
    def chosen(self) -> Contender:
        """The method that the report is about."""
        return Contender(method_named(self.methods[0] if self.methods else None).name, "method")


def explanations_section(
    ask: Ask, *, n_jobs: int = 1, device: str = "cpu", on_progress: Progress | None = None
) -> Section:
    """Explain clips and report on how true the explanations are.

    Parameters
    ----------
    ask : Ask
    n_jobs : int
        Processes; their number changes nothing but times, which stand in a file of their own.
    device : {"auto", "cpu", "cuda"}
    on_progress : callable, optional
        Called with (clips done, clips in all).

    Returns
    -------
    Section

    Raises
    ------
    UnknownMethodError
        When there is no such method.
    InvalidRequestError, MissingSoundFontError
        When there are no clips to explain (`explained_sets`).
    """
    sets = explained_sets(ask.request)
    explained = explain_all(
        ask.folders,
        sets,
        listened_clips(ask.request),
        ask.chosen,
        contenders_of(ask.methods),
        n_jobs=n_jobs,
        device=device,
        on_progress=on_progress,
    )
    return _written(ask, sets, explained, device)


def _written(ask: Ask, sets: Sequence[ExplainedSet], explained: Explained, device: str) -> Section:
    seed, chosen, labels = ask.request.seed, ask.chosen, ask.request.card.labels
    contenders = contenders_of(ask.methods)
    scored = {
        group: [found.scored[0][chosen.key] for found in findings]
        for group, findings in explained.groups.items()
    }
    figures = {group: figures_of(clips, seed) for group, clips in scored.items()}
    of_banks = {
        name: figures_of([found.scored[0][chosen.key] for found in findings], seed)
        for name, findings in explained.banks.items()
    }
    rows = {
        name: of_model
        for place, name in enumerate(ask.names)
        if (of_model := method_rows(explained.groups, place, contenders, seed))
    }
    parts = {
        "by_number": by_number(scored, seed),
        "by_energy": by_energy(scored, seed),
        "by_instrument": by_instrument(scored, seed),
    }
    bands = {
        group: found
        for group, findings in explained.groups.items()
        if (found := bands_of([each.curves for each in findings], seed)) is not None
    }
    steadiness = steadiness_of([each for findings in explained.groups.values() for each in findings], seed)
    evidence = evidence_figures(explained.evidence, seed)
    example = choose_example(sets[0], scored[sets[0].group])
    on_stems = {group: relevance_on_stems(clips, labels) for group, clips in scored.items()}
    pictures = {
        f"{NAME}-methods{_of(place, name)}.png": _draw_rows(rows[name], chosen, name)
        for place, name in enumerate(ask.names)
        if name in rows
    }
    for group, shares in on_stems.items():
        pictures[f"{NAME}-stems-{slug_of(group)}.png"] = draw_on_stems(
            shares, labels, f"Relevance on stems, {group}"
        )
    if bands:
        pictures[f"{NAME}-curves.png"] = draw_curves(bands, f"Deletion and insertion, {chosen.key}")
    if example is not None:
        pictures[f"{NAME}-example.png"] = draw_example(ask.folders[0], device, chosen, sets[0], example)
    material = Material(sets, chosen, figures, of_banks, rows, parts, bands, steadiness, evidence, example)
    return Section(
        name=NAME,
        title=TITLE,
        summary=summary_rows(figures, steadiness, evidence, bank_words(sets)),
        record={
            "method": chosen.key,
            "sets": {
                one.use.name: {
                    **vars(one.use),
                    "group": one.group,
                    "recipe": one.recipe.model_dump(mode="json"),
                    "recipe_sha256": one.recipe.digest,
                    "figures": of_banks[one.use.name],
                }
                for one in sets
            },
            "figures": figures,
            "methods": {
                name: {row.contender.key: row.figures for row in of_model} for name, of_model in rows.items()
            },
            **parts,
            "instruments": labels,
            "relevance_on_stems": on_stems,
            "curves": bands,
            "steadiness": steadiness,
            "evidence": evidence,
            "example": example,
        },
        text=section_text(material, pictures, SECONDS_NAME),
        pictures=pictures,
        files={SECONDS_NAME: _seconds(explained, ask.names, contenders)},
    )


def _draw_rows(rows: Sequence[MethodRow], chosen: Contender, name: str) -> bytes:
    kinds = [row.contender.kind for row in rows]
    return draw_contenders(
        {row.contender.key: row.figures for row in rows},
        f"Methods compared on {name}",
        bold=chosen.key,
        divided_before=[
            row.contender.key
            for place, row in enumerate(rows)
            if place > 0 and kinds[place] != kinds[place - 1]
        ],
    )


def _of(place: int, name: str) -> str:
    """What tells a compared model's picture from that of the report's model."""
    return f"-{slug_of(name)}" if place else ""


def _seconds(explained: Explained, names: Sequence[str], contenders: Sequence[Contender]) -> bytes:
    return (
        "# How long a map takes\n\n"
        "Median over clips, one computing thread for each process, beside whatever else the machine did: in "
        "milliseconds, of one instrument's map of a five-second window, without its sound or picture.\n\n"
        f"{seconds_table(explained.groups, names, contenders)}\n"
    ).encode()
