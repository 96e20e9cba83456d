"""The table of methods: every contender's figures, truth and faithfulness side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation.explanations.contenders import Contender
from ml.evaluation.explanations.examining import Findings
from ml.evaluation.explanations.measures import MapFigures, figures_of
from ml.evaluation.intervals import Interval
from ml.evaluation.markdown import number, table

KINDS = {"method": "Methods", "baseline": "Baselines", "ceiling": "Ceiling"}
_COLUMNS = (  # heading, field of `MapFigures`, decimals
    ("skill", "skill", 2),
    ("pointing", "pointing", 2),
    ("own stem", "own_stem", 2),
    ("rank accuracy", "rank_accuracy", 2),
    ("Shapley correlation", "shapley_correlation", 2),
    ("deletion gain", "deletion_gain", 1),
    ("insertion", "insertion", 2),
    ("maps alike", "similarity", 2),
)


@dataclass(frozen=True)
class MethodRow:
    """One contender on one model: its figures by group of clips."""

    contender: Contender
    figures: Mapping[str, MapFigures]


def most_clips(rows: Sequence[MethodRow], group: str) -> int:
    """How many clips of a group most rows are of; slow contenders are tried on fewer."""
    return max((row.figures[group].n_clips for row in rows if group in row.figures), default=0)


def method_rows(
    groups: Mapping[str, Sequence[Findings]], model: int, contenders: Sequence[Contender], seed: int
) -> tuple[MethodRow, ...]:
    """Rows of one model.

    Parameters
    ----------
    groups : mapping of str to sequence of Findings
        Only those compared count: on the others the chosen method alone made maps, and figures of different
        clips cannot be set side by side.
    model : int
        Its place among the models.
    contenders : sequence of Contender
        In the order of the rows; those that made no maps on this model are left out.
    seed : int
        Of the resamplings.

    Returns
    -------
    tuple of MethodRow
        None where no clip was compared.
    """
    rows = []
    for contender in contenders:
        entered = {
            group: [
                found.scored[model][contender.key]
                for found in findings
                if found.depth != "scored" and _entered(found, model, contender)
            ]
            for group, findings in groups.items()
        }
        figures = {group: figures_of(clips, seed) for group, clips in entered.items() if clips}
        if figures:
            rows.append(MethodRow(contender, figures))
    return tuple(rows)


def method_table(rows: Sequence[MethodRow], groups: Sequence[str], chosen: Contender) -> str:
    """The table in Markdown.

    Parameters
    ----------
    rows : sequence of MethodRow
    groups : sequence of str
        Groups of clips, whose figures stand in one cell with slashes between.
    chosen : Contender
        The one that is set in bold.
    """
    lines = []
    for row in rows:
        mark = "**" if row.contender == chosen else ""
        target = row.contender.target if row.contender.kind == "method" else ""
        clips = _cell([str(row.figures[group].n_clips) if group in row.figures else "–" for group in groups])
        lines.append(
            (
                f"{mark}{row.contender.name}{mark}",
                target,
                clips,
                *(
                    _cell([_value(row.figures.get(group), field, digits) for group in groups])
                    for _, field, digits in _COLUMNS
                ),
            )
        )
    return table(("maps by", "target", "clips", *(heading for heading, _, _ in _COLUMNS)), lines)


def seconds_table(
    groups: Mapping[str, Sequence[Findings]], names: Sequence[str], contenders: Sequence[Contender]
) -> str:
    """Median time of one map on each model, in Markdown.

    Parameters
    ----------
    groups : mapping of str to sequence of Findings
    names : sequence of str
        The models'.
    contenders : sequence of Contender
    """
    everything = [found for findings in groups.values() for found in findings]
    lines = []
    for contender in contenders:
        if contender.kind == "ceiling":
            continue
        cells = []
        for model in range(len(names)):
            times = [
                found.scored[model][contender.key].seconds_per_map
                for found in everything
                if _entered(found, model, contender)
            ]
            cells.append(f"{1000.0 * float(np.median(times)):,.1f}" if times else "–")
        lines.append((contender.key, *cells))
    return table(("maps by", *(f"{name}, ms" for name in names)), lines)


def _entered(found: Findings, model: int, contender: Contender) -> bool:
    return model < len(found.scored) and contender.key in found.scored[model]


def _value(figures: MapFigures | None, field: str, digits: int) -> str:
    if figures is None:
        return "–"
    interval: Interval = getattr(figures, field)
    return number(interval.value, digits)


def _cell(values: Sequence[str]) -> str:
    return " / ".join(values)
