"""Combinations: which instruments play together in a clip.

`uniform` draws them with equal probability, `weighted` by weight; `families` now and then takes all of a
clip's instruments from one family, whose members sound alike; `explicit` draws one of the sets it lists.
An instrument plays once in a clip. Instruments are meant by their place in the recipe's list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from ml.instruments import Instrument
from ml.synthesis.sections import Count, CountKey, Probability, Section, Weight

if TYPE_CHECKING:
    import numpy as np


class UniformCombinations(Section):
    """Every instrument with equal probability."""

    draw: Literal["uniform"] = "uniform"


class WeightedCombinations(Section):
    """One instrument after another by weight; who is not named weighs 1."""

    draw: Literal["weighted"]
    weights: dict[str, Weight]


class FamilyCombinations(Section):
    """With this probability all instruments of a clip belong to one family, where one is large enough."""

    draw: Literal["families"]
    probability: Probability


class InstrumentSet(Section):
    """Instruments that play together, and how often in relation to other sets."""

    instruments: Annotated[tuple[str, ...], Field(min_length=1, max_length=15)]
    weight: Weight = 1.0


class ExplicitCombinations(Section):
    """One of these sets, by weight."""

    draw: Literal["explicit"]
    sets: Annotated[tuple[InstrumentSet, ...], Field(min_length=1)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many instruments play in a clip, in rising order."""
        return tuple(sorted({len(one.instruments) for one in self.sets}))


def _kind(value: object) -> str:
    if isinstance(value, Section):
        return f"<{getattr(value, 'draw', '')}>"
    if isinstance(value, dict) and isinstance(value.get("draw"), str):
        return f"<{value['draw']}>"
    return "<uniform>"


Combinations = Annotated[
    Annotated[UniformCombinations, Tag("<uniform>")]
    | Annotated[WeightedCombinations, Tag("<weighted>")]
    | Annotated[FamilyCombinations, Tag("<families>")]
    | Annotated[ExplicitCombinations, Tag("<explicit>")],
    Discriminator(
        _kind,
        custom_error_type="unknown_draw",
        custom_error_message="draw is none of uniform, weighted, families, explicit",
    ),
]
InstrumentCounts = Annotated[
    Annotated[tuple[Count, ...], Tag("<list>"), Field(min_length=1)]
    | Annotated[dict[CountKey, Weight], Tag("<mapping>"), Field(min_length=1)],
    Discriminator(lambda value: "<mapping>" if isinstance(value, dict) else "<list>"),
]


def require_known(combinations: Combinations, names: Sequence[str]) -> Combinations:
    """Check that a recipe's combinations speak of its instruments only.

    Parameters
    ----------
    combinations : Combinations
    names : sequence of str
        The recipe's instruments.

    Returns
    -------
    Combinations
        As given.

    Raises
    ------
    ValueError
        When an instrument is not in the recipe, or is twice in a set.
    """
    if isinstance(combinations, WeightedCombinations):
        _require_names(combinations.weights, names, "weights")
    if isinstance(combinations, ExplicitCombinations):
        for place, one in enumerate(combinations.sets):
            _require_names(one.instruments, names, f"sets.{place}")
            if len(set(one.instruments)) != len(one.instruments):
                raise ValueError(f"sets.{place} names an instrument twice")
    return combinations


def _require_names(asked: Mapping[str, float] | Sequence[str], names: Sequence[str], where: str) -> None:
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise ValueError(f"{where} names {', '.join(unknown)}, not among the recipe's instruments")


def draw_count(counts: tuple[int, ...] | Mapping[int, float], rng: np.random.Generator) -> int:
    """Draw how many instruments play.

    Parameters
    ----------
    counts : tuple of int or mapping of int to float
        With equal probability, or by weight.
    rng : numpy.random.Generator

    Returns
    -------
    int
    """
    if isinstance(counts, Mapping):
        return int(rng.choice(list(counts), p=_shares(list(counts.values()))))
    return int(rng.choice(counts))


def draw_instruments(
    combinations: Combinations, vocabulary: Sequence[Instrument], n_instruments: int, rng: np.random.Generator
) -> list[int]:
    """Draw the instruments of a clip.

    Parameters
    ----------
    combinations : Combinations
    vocabulary : sequence of Instrument
    n_instruments : int
        How many, at most `len(vocabulary)`; explicit sets have their own number.
    rng : numpy.random.Generator

    Returns
    -------
    list of int
        Places in the vocabulary, none twice.
    """
    names = [instrument.name for instrument in vocabulary]
    match combinations:
        case ExplicitCombinations(sets=sets):
            one = sets[int(rng.choice(len(sets), p=_shares([each.weight for each in sets])))]
            return [names.index(name) for name in one.instruments]
        case WeightedCombinations(weights=weights):
            shares = _shares([weights.get(name, 1.0) for name in names])
            return [int(k) for k in rng.choice(len(names), size=n_instruments, replace=False, p=shares)]
        case FamilyCombinations(probability=probability):
            large = _families(vocabulary, n_instruments)
            if rng.random() < probability and large:
                members = large[int(rng.integers(len(large)))]
                return [int(k) for k in rng.choice(members, size=n_instruments, replace=False)]
    return [int(k) for k in rng.choice(len(names), size=n_instruments, replace=False)]


def _families(vocabulary: Sequence[Instrument], n_members: int) -> list[list[int]]:
    """Places of the members of every family of at least so many, in the vocabulary's order."""
    families: dict[str, list[int]] = {}
    for place, instrument in enumerate(vocabulary):
        if instrument.family:
            families.setdefault(instrument.family, []).append(place)
    return [members for members in families.values() if len(members) >= n_members]


def _shares(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]
