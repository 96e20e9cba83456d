"""What the offline commands print for people: results as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from ml.checkpoint import ModelCard
    from ml.classification import Classification
    from ml.dataset.manifest import Manifest
    from ml.evaluation.report import EvaluationReport
    from ml.explained import Explanation


def classification(found: Classification, title: str) -> Table:
    """Instruments by falling probability."""
    table = Table(title=title)
    table.add_column("instrument")
    table.add_column("probability", justify="right")
    table.add_column("present")
    for score in found.instruments:
        table.add_row(score.instrument, f"{score.probability:.3f}", "yes" if score.present else "")
    return table


def truth(explanation: Explanation) -> Table:
    """How true the maps are of those instruments whose stems are known."""
    table = Table(
        title=f"Truth of the maps, by {explanation.method}",
        caption="skill: 0 for pointing at what is loud, 1 for relevance on the stem alone",
    )
    table.add_column("instrument")
    for measure in ("found", "skill", "pointing", "own stem"):
        table.add_column(measure, justify="right")
    correlation = None
    for explained in explanation.instruments:
        known = explained.quality.truth
        if known is None:
            continue
        correlation = known.shapley_correlation
        table.add_row(
            explained.instrument,
            _yes(explained.found),
            "" if known.scores.skill is None else f"{known.scores.skill:.2f}",
            _yes(known.scores.pointing),
            _yes(known.scores.own_stem),
        )
    if correlation is not None:
        table.add_section()
        table.add_row("correlation with what the stems do", "", f"{correlation:.2f}", "", "")
    return table


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def occurrences(manifest: Manifest) -> Table:
    """How often each instrument, and each number of instruments, occurs in a data set."""
    counted = manifest.occurrences
    table = Table(title=f"Clips of {manifest.name} by instrument and by number of instruments")
    table.add_column("")
    for split in counted.per_instrument:
        table.add_column(split, justify="right")
    for name in manifest.labels:
        table.add_row(name, *(str(counts[name]) for counts in counted.per_instrument.values()))
    table.add_section()
    for number in sorted({n for counts in counted.per_n_instruments.values() for n in counts}):
        words = f"{number} instrument{'s' if number > 1 else ''}"
        table.add_row(words, *(str(counts.get(number, 0)) for counts in counted.per_n_instruments.values()))
    return table


def report(measured: EvaluationReport) -> Table:
    """What an evaluation measured."""
    table = Table(title=f"{measured.model.id}, seed {measured.seed}", caption="in brackets: 95 % intervals")
    table.add_column("")
    table.add_column("measure")
    table.add_column("result", justify="right")
    table.add_column("clips", justify="right")
    for row in measured.summary:
        table.add_row(row.set_name, row.measure, escape(str(row.interval)), f"{row.n_clips:,}")
    for suite, reason in measured.skipped.items():
        table.add_row(suite, "left out", reason, "")
    return table


def trained(card: ModelCard) -> Table:
    """How a model that was just trained does on the validation part."""
    table = Table(title=f"{card.id}: validation macro-F1 {card.metrics['macro_f1']:.4f}")
    table.add_column("instrument")
    table.add_column("F1", justify="right")
    table.add_column("threshold", justify="right")
    for name in card.labels:
        table.add_row(name, f"{card.metrics['per_instrument_f1'][name]:.3f}", f"{card.thresholds[name]:.2f}")
    return table
