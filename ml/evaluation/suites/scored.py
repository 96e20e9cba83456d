"""A section about clips whose instruments are known: tables and pictures of one or more groups of clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.evaluation.charts import draw_bars, draw_by_number, draw_reliability
from ml.evaluation.heat_maps import draw_confusion
from ml.evaluation.markdown import number, picture, table, with_interval
from ml.evaluation.scores import ClipScores
from ml.evaluation.sections import Section, SummaryRow, Target
from ml.instruments import slug_of


@dataclass(frozen=True)
class ScoredSet:
    """A set with its figures.

    Attributes
    ----------
    name : str
    kind : str
        What comes before the name where it stands alone, as in ``Fresh clips of``.
    description : str
        Markdown.
    record : mapping
        What the figures depend on.
    scores : ClipScores
    """

    name: str
    kind: str
    description: str
    record: Mapping[str, object]
    scores: ClipScores


def scored_row(set_name: str, scores: ClipScores, target: Target | None = None) -> SummaryRow:
    """The line of the opening table for a set or a group of clips."""
    calibration_error = scores.calibration.mean
    return SummaryRow(set_name, "macro-F1", scores.macro_f1, scores.n_clips, target, calibration_error)


def scored_pictures(
    prefix: str, groups: Mapping[str, ClipScores], labels: Sequence[str], title: str
) -> dict[str, bytes]:
    """Draw groups of clips.

    Parameters
    ----------
    prefix : str
        Begins the pictures' names.
    groups : mapping of str to ClipScores
    labels : sequence of str
        The model's.
    title : str
        What the groups have in common.

    Returns
    -------
    dict of str to bytes
        ``PREFIX-f1.png``, ``PREFIX-by-number.png``, ``PREFIX-reliability.png``, and a confusion for each
        group.
    """
    f1 = {
        name: {label: scored.f1 for label, scored in scores.per_instrument.items()}
        for name, scores in groups.items()
    }
    by_number = {
        name: {count: scored.macro_f1 for count, scored in scores.by_number.items()}
        for name, scores in groups.items()
    }
    reliability = {name: scores.reliability for name, scores in groups.items()}
    drawn = {
        f"{prefix}-f1.png": draw_bars(f1, "F1", f"{title}: each instrument"),
        f"{prefix}-by-number.png": draw_by_number(by_number, f"{title}: several at once"),
        f"{prefix}-reliability.png": draw_reliability(reliability, f"{title}: reliability"),
    }
    for name, scores in groups.items():
        heading = f"{title}: confusion" + (f", {name}" if len(groups) > 1 else "")
        drawn[confusion_name(prefix, name, groups)] = draw_confusion(scores.confusion, labels, heading)
    return drawn


def scored_text(prefix: str, groups: Mapping[str, ClipScores]) -> str:
    """Tables of groups of clips, and their pictures.

    Parameters
    ----------
    prefix : str
        As for `scored_pictures`.
    groups : mapping of str to ClipScores

    Returns
    -------
    str
        Markdown.
    """
    several = len(groups) > 1
    overall = table(
        ("clips", "n", "macro-F1", "micro-F1", "exactly right", "calibration error"),
        [
            (
                name,
                f"{scores.n_clips:,}",
                with_interval(scores.macro_f1),
                with_interval(scores.micro_f1),
                with_interval(scores.exact),
                f"{number(scores.calibration.mean)} (pooled {number(scores.calibration.pooled_equal_mass)})",
            )
            for name, scores in groups.items()
        ],
    )
    by_number = table(
        ("instruments at once", "clips", "macro-F1", "exactly right"),
        [
            (
                f"{count}{f', {name}' if several else ''}",
                f"{scored.n_clips:,}",
                with_interval(scored.macro_f1),
                with_interval(scored.exact),
            )
            for name, scores in groups.items()
            for count, scored in scores.by_number.items()
        ],
    )
    parts = [overall, picture(f"{prefix}-f1.png", "F1 of each instrument with 95 % intervals")]
    parts += [_instruments(name if several else "", scores) for name, scores in groups.items()]
    parts += [by_number, picture(f"{prefix}-by-number.png", "Macro-F1 against the number of instruments")]
    parts += [
        picture(confusion_name(prefix, name, groups), "Who is reported although it does not play")
        for name in groups
    ]
    parts += [picture(f"{prefix}-reliability.png", "Reliability diagram")]
    return "\n\n".join(parts)


def confusion_name(prefix: str, group: str, groups: Mapping[str, ClipScores]) -> str:
    """The name of a group's picture of confusion."""
    return f"{prefix}-confusion{f'-{slug_of(group)}' if len(groups) > 1 else ''}.png"


def _instruments(group: str, scores: ClipScores) -> str:
    return table(
        (
            f"instrument{f', {group}' if group else ''}",
            "clips",
            "F1",
            "precision",
            "recall",
            "calibration error",
        ),
        [
            (
                name,
                f"{scored.n_clips:,}",
                with_interval(scored.f1),
                number(scored.precision),
                number(scored.recall),
                number(scored.calibration_error),
            )
            for name, scored in scores.per_instrument.items()
        ],
    )


def sets_section(name: str, title: str, sets: Sequence[ScoredSet], labels: Sequence[str]) -> Section:
    """A section of several sets, each with all its tables and pictures.

    Parameters
    ----------
    name : str
        The section's; begins the pictures' names.
    title : str
    sets : sequence of ScoredSet
    labels : sequence of str
        The model's.

    Returns
    -------
    Section
    """
    texts = []
    pictures: dict[str, bytes] = {}
    for one in sets:
        prefix, group = f"{name}-{slug_of(one.name)}", {one.name: one.scores}
        texts.append(f"### {one.name}\n\n{one.description}\n\n{scored_text(prefix, group)}")
        pictures |= scored_pictures(prefix, group, labels, one.name)
    return Section(
        name=name,
        title=title,
        summary=tuple(scored_row(f"{one.kind} {one.name}", one.scores) for one in sets),
        record={one.name: {**one.record, "scores": one.scores} for one in sets},
        text="\n\n".join(texts),
        pictures=pictures,
        files={},
    )
