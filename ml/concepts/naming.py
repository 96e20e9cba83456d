"""What references have in common, with its purity, and the name that follows from it.

For each kind of trait (`ml.concepts.moments`) the most frequent value is compared with chance. Its *purity*
is the share of all measured references that have it; a reference whose instrument does not sound at its
moment has none. Its *base* is the share that would have it if the moments had been drawn blindly from those
of the same instruments (and, for vibrato, which sets in after a note's start, of the same phase), so that a
piccolo is not called high because it is a piccolo. A value is *stated* when

* its purity is at least `MIN_PURITY`;
* at most half as many references lack it as would by chance, ``1 - purity <= (1 - base) / 2``;
* so many having it by chance, in independent draws, is less probable than `SIGNIFICANCE` over the number of
  values that are tried in all channels together (a one-sided binomial test, Bonferroni).

More references are measured than are shown, `N_MEASURED`, since of eight alike many can be found by chance
alone; but of a small set no more than `MEASURED_SHARE`, since what is found in any clip says nothing. A
concept is named by the values stated of it, and is unnamed where there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import binom

from ml.concepts.moments import KINDS, Kind, Traits

N_MEASURED = 50
MEASURED_SHARE = 0.05  # of all clips
MIN_MEASURED = 20  # with fewer references nothing is stated
MIN_PURITY = 0.8
SIGNIFICANCE = 0.05

_SAME: Mapping[Kind, tuple[Kind, ...]] = {
    "instrument": (),
    "family": (),
    "vibrato": ("instrument", "phase"),
}
_SAME_INSTRUMENT: tuple[Kind, ...] = ("instrument",)


@dataclass(frozen=True)
class Commonality:
    """The most frequent value of one kind among references.

    Attributes
    ----------
    kind : str
    value : str
    purity, base : float
        Share of the references that have it, and share that would by chance.
    stated : bool
        Whether it counts as what they have in common.
    """

    kind: Kind
    value: str
    purity: float
    base: float
    stated: bool


class BaseRates:
    """How often values occur at moments that nothing has chosen.

    Parameters
    ----------
    counts : Counter
        Of combinations of values, as `ml.concepts.moments.base_counts` counts them.
    n_channels : int
        Whose references are going to be measured: for the correction for trying many.
    """

    def __init__(self, counts: Counter[tuple[str, ...]], n_channels: int) -> None:
        self._n_tests = n_channels * sum(len({values[at] for values in counts}) for at in range(len(KINDS)))
        self._cells: dict[Kind, dict[tuple[str, ...], Counter[str]]] = {kind: {} for kind in KINDS}
        for values, count in counts.items():
            named = dict(zip(KINDS, values, strict=True))
            for kind in KINDS:
                self._cells[kind].setdefault(_cell(kind, named), Counter())[named[kind]] += count

    def measure(self, references: Sequence[Traits | None]) -> tuple[Commonality, ...]:
        """Measure what references have in common.

        Parameters
        ----------
        references : sequence of Traits or None
            Traits of each reference's moment; None where its instrument does not sound.

        Returns
        -------
        tuple of Commonality
            One for each kind, in the order of `KINDS`; none where no reference has traits.
        """
        sounding = [traits for traits in references if traits is not None]
        return tuple(self._most_frequent(kind, sounding, len(references)) for kind in KINDS if sounding)

    def _most_frequent(self, kind: Kind, sounding: Sequence[Traits], n_references: int) -> Commonality:
        counts = Counter(traits[kind] for traits in sounding)
        value, count = max(counts.items(), key=lambda item: (item[1], item[0]))
        base = sum(self._rate(kind, value, traits) for traits in sounding) / n_references
        purity = count / n_references
        by_chance = float(binom.sf(count - 1, n_references, base))
        stated = (
            n_references >= MIN_MEASURED
            and purity >= MIN_PURITY
            and 1.0 - purity <= (1.0 - base) / 2.0
            and by_chance * self._n_tests <= SIGNIFICANCE
        )
        return Commonality(kind, value, purity, base, stated)

    def _rate(self, kind: Kind, value: str, traits: Traits) -> float:
        """Share of blind moments of a reference's kin that have a value."""
        kin = self._cells[kind].get(_cell(kind, traits), Counter())
        return kin[value] / max(kin.total(), 1)


def _cell(kind: Kind, traits: Traits) -> tuple[str, ...]:
    return tuple(traits[same] for same in _SAME.get(kind, _SAME_INSTRUMENT))


def name_of(commonalities: Sequence[Commonality]) -> str | None:
    """The name of a concept.

    Parameters
    ----------
    commonalities : sequence of Commonality

    Returns
    -------
    str or None
        Such as ``Trumpet, onset, high``; None where nothing is stated. A family is told where no instrument
        is. Of an instrument the register is told; else the octave, since registers of different instruments
        lie apart.
    """
    stated = {each.kind: each.value for each in commonalities if each.stated}
    if "instrument" in stated:
        stated.pop("family", None)
    if {"instrument", "register"} <= stated.keys():
        stated.pop("octave", None)
    elif "octave" in stated:
        stated.pop("register", None)
    words = [stated[kind] for kind in KINDS if kind in stated]
    if not words:
        return None
    name = ", ".join(words)
    return name[0].upper() + name[1:]
