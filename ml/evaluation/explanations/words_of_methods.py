"""What the tables of methods show, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.evaluation.explanations.contenders import BINARY, CONTRAST, SOFT
from ml.evaluation.explanations.material import PROTOCOL
from ml.evaluation.explanations.method_table import MethodRow, most_clips
from ml.evaluation.markdown import number, with_interval
from ml.relevance.methods import METHODS


def comparison_words(rows: Sequence[MethodRow], groups: Sequence[str], seconds_name: str) -> str:
    """What the tables of methods show.

    Parameters
    ----------
    rows : sequence of MethodRow
        Of the model that the report is about.
    groups : sequence of str
        Groups of clips.
    seconds_name : str
        The file with times.

    Returns
    -------
    str
        Markdown.
    """
    ceilings = {row.contender.name: row.figures for row in rows if row.contender.kind == "ceiling"}
    reached = "; ".join(
        f"on {clips_of(group)} {number(ceilings[SOFT][group].skill.value, 2)} (soft) and "
        f"{number(ceilings[BINARY][group].skill.value, 2)} (binary)"
        for group in groups
        if group in ceilings.get(SOFT, {})
    )
    return (
        f"All on the same clips, the first {_counts(rows, groups)}; where two numbers stand in a cell, the "
        f"first is of {', the second of '.join(clips_of(group) for group in groups)}. A method explains the "
        f"logit, or the logit *{CONTRAST}*, weighted by their softmax. Compared models are spared slow "
        f"contenders and second targets. {_on_fewer(rows, groups)}95 % intervals over clips stand in the "
        "picture, for all measures in `report.json`; neighbours whose intervals overlap are as good as each "
        "other.\n\n"
        f"{_best(rows, groups)}\n\n"
        + (f"The ceiling: the true mask itself reaches a skill, {reached}.\n\n" if reached else "")
        + f"Times differ from run to run and stand in [{seconds_name}]({seconds_name}). "
        "Methods:\n\n"
        + "\n".join(
            f"- `{method}`: {METHODS[method].description}"
            for method in dict.fromkeys(row.contender.name for row in rows if row.contender.kind == "method")
        )
    )


def clips_of(group: str) -> str:
    """A group of clips in words."""
    return f"{group} clips" if group == PROTOCOL else f"clips of {group}"


def _counts(rows: Sequence[MethodRow], groups: Sequence[str]) -> str:
    return " and the first ".join(f"{most_clips(rows, group):,} {clips_of(group)}" for group in groups)


def _on_fewer(rows: Sequence[MethodRow], groups: Sequence[str]) -> str:
    """Which rows are of fewer clips, in words."""
    slow = {
        row.contender.key: row
        for row in rows
        if any(
            row.figures[group].n_clips < most_clips(rows, group) for group in groups if group in row.figures
        )
    }
    if not slow:
        return ""
    named = ", ".join(
        f"`{key}` ({' and '.join(f'{figures.n_clips:,}' for figures in row.figures.values())})"
        for key, row in slow.items()
    )
    return f"Slow ones are tried on the first few of these only and are not ranked: {named}. "


def _best(rows: Sequence[MethodRow], groups: Sequence[str]) -> str:
    """Which methods do best, in words."""
    methods = [row for row in rows if row.contender.kind == "method"]
    sentences = []
    for group in groups:
        best = [
            f"{words} `{leader.contender.key}` ({with_interval(getattr(leader.figures[group], field))})"
            for field, words in (
                ("skill", "in skill"),
                ("shapley_correlation", "in correlation with Shapley values"),
                ("deletion_gain", "in deletion gain"),
            )
            if (leader := _leader(methods, group, field)) is not None
        ]
        if best:
            sentences.append(f"On {clips_of(group)} the best are {', '.join(best)}.")
    return " ".join(sentences)


def _leader(methods: Sequence[MethodRow], group: str, field: str) -> MethodRow | None:
    """The best of those on the same clips: of fewer ones it could be luck."""
    most = most_clips(methods, group)
    defined = [
        row
        for row in methods
        if not np.isnan(_value(row, group, field)) and row.figures[group].n_clips == most
    ]
    return max(defined, key=lambda row: _value(row, group, field), default=None)


def _value(row: MethodRow, group: str, field: str) -> float:
    return float(getattr(row.figures[group], field).value) if group in row.figures else float("nan")
