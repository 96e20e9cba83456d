"""Models compared on the same clips, with paired intervals of their differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation.charts import draw_bars
from ml.evaluation.intervals import (
    Interval,
    Statistic,
    bootstrap,
    difference,
    weighted_macro_f1,
    weighted_mean,
)
from ml.evaluation.listening import Heard
from ml.evaluation.markdown import picture, table, with_interval
from ml.evaluation.sections import Section

TITLE = "Networks compared"


@dataclass(frozen=True)
class ComparedScore:
    """One model's figure on a set, and how far it lies above that of the model the report is about."""

    model: str
    value: Interval
    difference: Interval


@dataclass(frozen=True)
class ComparedSet:
    """All models' figures on one set of clips; the first is the one that the report is about."""

    name: str
    measure: str
    n_clips: int
    scores: tuple[ComparedScore, ...]


def statistic_of(heard: Heard) -> Statistic:
    """The figure by which models are compared on a set (`ClipSet.measure`), as a statistic over its clips.

    Parameters
    ----------
    heard : Heard
        Of a set with a measure.
    """
    if heard.clip_set.measure == "top-1":
        rows = np.arange(len(heard))
        return weighted_mean(heard.truth[rows, heard.probabilities.argmax(axis=1)])
    return weighted_macro_f1(heard.truth, heard.present)


def compare(heard: Sequence[Heard], names: Sequence[str], seed: int) -> ComparedSet:
    """Compare models on one set of clips.

    Parameters
    ----------
    heard : sequence of Heard
        One per model, of the same set.
    names : sequence of str
        The models'.
    seed : int
        Of the resamplings, which are the same for all models.

    Returns
    -------
    ComparedSet
    """
    clip_set = heard[0].clip_set
    statistics = [statistic_of(part) for part in heard]

    def rng() -> np.random.Generator:
        return np.random.default_rng([seed, 0xC0])

    return ComparedSet(
        clip_set.name,
        str(clip_set.measure),
        len(heard[0]),
        tuple(
            ComparedScore(
                name,
                bootstrap(statistic, len(heard[0]), rng()),
                bootstrap(difference(statistic, statistics[0]), len(heard[0]), rng()),
            )
            for name, statistic in zip(names, statistics, strict=True)
        ),
    )


def comparison_section(
    heard: Sequence[Sequence[Heard]], names: Sequence[str], descriptions: Sequence[str], seed: int
) -> Section:
    """Compare models on every set that has a measure.

    Parameters
    ----------
    heard : sequence of sequence of Heard
        `[set][model]`.
    names, descriptions : sequence of str
        Of the models; a description says network and training data.
    seed : int

    Returns
    -------
    Section
    """
    sets = [compare(parts, names, seed) for parts in heard if parts[0].clip_set.measure is not None]
    rows = [
        (
            one.name if index == 0 else "",
            one.measure if index == 0 else "",
            scored.model,
            with_interval(scored.value),
            "" if index == 0 else _signed(scored.difference),
        )
        for one in sets
        for index, scored in enumerate(one.scores)
    ]
    bars = {
        name: {f"{one.name} ({one.measure})": one.scores[index].value for one in sets}
        for index, name in enumerate(names)
    }
    described = "\n".join(
        f"- **{name}**: {description}" for name, description in zip(names, descriptions, strict=True)
    )
    return Section(
        name="networks",
        title=TITLE,
        summary=(),
        record={"sets": sets},
        text=f"{described}\n\nAll heard the same clips. A difference is to {names[0]}, above 0 where the "
        "other is better, with a paired interval.\n\n"
        + table(("set", "measure", "model", "result", "difference"), rows)
        + f"\n\n{picture('networks.png', 'Each model on each set')}",
        pictures={"networks.png": draw_bars(bars, "macro-F1 or top-1", TITLE)},
        files={},
    )


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
