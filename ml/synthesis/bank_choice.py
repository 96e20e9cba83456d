"""SoundFonts of a recipe: which banks play in which split, and which of them plays a clip or a stem.

`soundfonts` is a list of banks for both splits, or one list for each: then a bank that validates is never
trained on. A bank may lack instruments (`without`), or be listed for some alone (`only`); it is then not
drawn for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Discriminator, Field, Tag, model_validator

from ml.synthesis.plan import SPLITS, Split
from ml.synthesis.sections import Section, Weight

if TYPE_CHECKING:
    import numpy as np

BankName = Annotated[str, Field(min_length=1, max_length=4_096)]


class BankChoice(Section):
    """A bank, the instruments that it lacks or those it serves alone, and how often it is drawn in relation
    to others.
    """

    name: BankName
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    weight: Weight = 1.0

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if self.without and self.only:
            raise ValueError("a bank is described by without or by only, not by both")
        return self

    def serves(self, instruments: Iterable[str]) -> bool:
        """Whether it plays all of these."""
        wanted = frozenset(instruments)
        return wanted.isdisjoint(self.without) and (not self.only or wanted.issubset(self.only))


BankEntry = Annotated[
    Annotated[BankName, Tag("<name>")] | Annotated[BankChoice, Tag("<bank>")],
    Discriminator(lambda value: "<name>" if isinstance(value, str) else "<bank>"),
]
BankList = Annotated[tuple[BankEntry, ...], Field(min_length=1)]


class SplitBanks(Section):
    """The banks of each split; none may be in both."""

    train: BankList
    validation: BankList

    @model_validator(mode="after")
    def _validation_banks_are_not_trained_on(self) -> Self:
        both = {bank.name for bank in choices(self.train)} & {bank.name for bank in choices(self.validation)}
        if both:
            raise ValueError(f"{', '.join(sorted(both))} validates and must not be trained on as well")
        return self


SoundFonts = Annotated[
    Annotated[BankList, Tag("<list>")] | Annotated[SplitBanks, Tag("<split>")],
    Discriminator(lambda value: "<split>" if isinstance(value, (dict, SplitBanks)) else "<list>"),
]


def choices(entries: Iterable[str | BankChoice]) -> tuple[BankChoice, ...]:
    """Banks as they were listed, names spelt out."""
    return tuple(BankChoice(name=entry) if isinstance(entry, str) else entry for entry in entries)


def is_path(name: str) -> bool:
    """Whether a bank is given by its place on the disk instead of by its name."""
    return "/" in name or "\\" in name or name.startswith(".") or name.lower().endswith((".sf2", ".sf3"))


def banks_of(soundfonts: SoundFonts, split: Split) -> tuple[BankChoice, ...]:
    """The banks that play in a split."""
    if isinstance(soundfonts, SplitBanks):
        return choices(soundfonts.train if split == "train" else soundfonts.validation)
    return choices(soundfonts)


def plain_names(soundfonts: SoundFonts) -> tuple[str, ...] | None:
    """Names of the banks where both splits share them and none lacks or weighs anything, else None."""
    if isinstance(soundfonts, SplitBanks):
        return None
    names = tuple(entry for entry in soundfonts if isinstance(entry, str))
    return names if len(names) == len(soundfonts) else None


def require_served(soundfonts: SoundFonts, together: Iterable[frozenset[str]], names: Sequence[str]) -> None:
    """Check that some bank of every split serves all instruments that need to come from one bank.

    Parameters
    ----------
    soundfonts : SoundFonts
    together : iterable of frozenset of str
        Sets of instruments, each of which one bank has to serve.
    names : sequence of str
        The recipe's instruments.

    Raises
    ------
    ValueError
        When a set is not served, a bank lacks an instrument that the recipe does not have, or is listed
        twice in a split.
    """
    groups = tuple(together)
    for split in SPLITS:
        banks = banks_of(soundfonts, split)
        listed = [bank.name for bank in banks]
        for bank in banks:
            if listed.count(bank.name) > 1:
                raise ValueError(f"{bank.name} is listed twice")
            unknown = [name for name in (*bank.without, *bank.only) if name not in names]
            if unknown:
                raise ValueError(
                    f"{bank.name} names {', '.join(unknown)}, not among the recipe's instruments"
                )
        for group in groups:
            if not any(bank.serves(group) for bank in banks):
                where = f"of {split} " if isinstance(soundfonts, SplitBanks) else ""
                raise ValueError(f"no bank {where}({', '.join(listed)}) serves {', '.join(sorted(group))}")


def draw_bank(banks: Sequence[BankChoice], instruments: Iterable[str], rng: np.random.Generator) -> str:
    """Draw a bank that serves all of these instruments, by weight.

    Parameters
    ----------
    banks : sequence of BankChoice
        At least one serves the instruments (`require_served`).
    instruments : iterable of str
    rng : numpy.random.Generator

    Returns
    -------
    str
        The bank's name.
    """
    needed = frozenset(instruments)
    serving = [bank for bank in banks if bank.serves(needed)]
    total = sum(bank.weight for bank in serving)
    return serving[int(rng.choice(len(serving), p=[bank.weight / total for bank in serving]))].name
