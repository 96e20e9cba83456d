"""The lines about explanations in the table that opens a report, with what is aimed at."""

from __future__ import annotations

from collections.abc import Mapping

from ml.evaluation.explanations.evidence import EvidenceFigures
from ml.evaluation.explanations.material import PROTOCOL, UNSEEN
from ml.evaluation.explanations.measures import MapFigures
from ml.evaluation.explanations.steadiness import MOST_ERROR, Steadiness
from ml.evaluation.sections import SummaryRow, Target

_MEASURES = (  # field of `MapFigures`, words, target on protocol clips, on banks the model never heard
    ("coverage", "instruments found", None, None),
    ("skill", "skill over loudness", Target(0.62, 0.75), Target(0.52, 0.70)),
    ("skill_found", "skill, of those found", None, None),
    ("pointing", "pointing game", Target(0.96, 0.99), Target(0.88, 0.95)),
    ("own_stem", "lies most on its own stem", Target(0.98, 1.0), Target(0.88, 0.97)),
    ("shapley_correlation", "correlation with stems' Shapley values", Target(0.90, 0.97), Target(0.80, 0.92)),
    ("deletion_gain", "deletion gain over random", Target(3.0, 6.0), Target(3.0, 6.0)),
)
_HEARD = Target(None, 0.8)


def summary_rows(
    figures: Mapping[str, MapFigures], steadiness: Steadiness, evidence: EvidenceFigures, unseen: str
) -> tuple[SummaryRow, ...]:
    """Lines of the opening table.

    Parameters
    ----------
    figures : mapping of str to MapFigures
        Of the chosen method, by group of clips.
    steadiness : Steadiness
    evidence : EvidenceFigures
    unseen : str
        What the banks are called that the model never heard.

    Returns
    -------
    tuple of SummaryRow
    """
    rows = []
    for field, words, on_protocol, on_unseen in _MEASURES:
        for group, target in ((PROTOCOL, on_protocol), (UNSEEN, on_unseen)):
            if group in figures:
                name = f"Explanations, {PROTOCOL if group == PROTOCOL else unseen}"
                found = figures[group]
                rows.append(SummaryRow(name, words, getattr(found, field), found.n_clips, target))
    if steadiness.n_clips:
        rows.append(
            SummaryRow(
                "Explanations",
                f"concept maps + remainder = map, to {MOST_ERROR:g}".replace("e-0", "e-"),
                steadiness.exact,
                steadiness.n_clips,
                Target(1.0, 1.0),
            )
        )
    heard = ("keeps", "evidence kept keeps the label"), ("loses", "evidence removed loses the label")
    rows += [
        SummaryRow("Explanations, two instruments", words, getattr(evidence, field), evidence.n_clips, _HEARD)
        for field, words in heard
    ]
    return tuple(rows)
