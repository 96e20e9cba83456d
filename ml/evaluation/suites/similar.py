"""The suite `similar`: instruments that sound alike, every subset of a group at once, in natural ranges.

The groups are the study's: strings, winds, keys. Is a violin still told from the strings that play with it?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.errors import InvalidRequestError, SystemDependencyError
from ml.evaluation.clips import ClipSet, PlannedClip
from ml.evaluation.group_scores import GroupScore, score_group, subsets_of
from ml.evaluation.heat_maps import draw_subsets
from ml.evaluation.listening import Heard
from ml.evaluation.markdown import number, percent, picture, table, with_interval
from ml.evaluation.sections import Section, SummaryRow
from ml.evaluation.sounds import MissingSoundsError
from ml.evaluation.suites.fresh import BankUse, fresh_clips, own_seed, served_instruments, use_of
from ml.evaluation.suites.suite import Request
from ml.instruments import slug_of
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, Bank, find_bank

GROUPS = {
    "strings": ("Violin", "String Ensemble 1"),
    "winds": ("Piccolo", "Trumpet", "Soprano Sax"),
    "keys": ("Acoustic Grand Piano", "Celesta", "Hammond Organ"),
}
OTHERS = "any other"
UNSEEN = "banks it never heard"
TITLE = "Similar instruments at once"


class SimilarSuite:
    """Each group by FluidR3_GM, and by every bank that the model never heard."""

    name = "similar"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set for each bank and group."""
        return tuple(
            ClipSet(_set_name(bank, group), None, _group_clips(request, bank, group))
            for bank, group in _bank_groups(request)
        )

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """How well each group is told apart, by the usual bank and by all unseen banks together."""
        rng = np.random.default_rng([request.seed, 0x51A1])
        pooled: dict[tuple[str, str], list[Heard]] = {}
        banks: dict[str, dict[str, float]] = {}
        for (bank, group), part in zip(_bank_groups(request), heard, strict=True):
            pooled.setdefault((_place(bank), group), []).append(part)
            banks.setdefault(bank.name, {})[group] = score_group([part], GROUPS[group], rng).exact.value
        scored = {place: score_group(parts, GROUPS[place[1]], rng) for place, parts in pooled.items()}
        uses = {bank.name: use_of(bank, request.card) for bank, _ in _bank_groups(request)}
        texts, pictures = [], {}
        for place in dict.fromkeys(place for place, _ in scored):
            ours = {group: scores for (where, group), scores in scored.items() if where == place}
            file = f"similar-{slug_of(place)}.png"
            pictures[file] = draw_subsets(
                {group: _reported(scores) for group, scores in ours.items()},
                f"What is reported of which subset: {place}",
            )
            texts.append(
                f"### {place}\n\n{_tables(ours)}\n\n{picture(file, 'Reported instruments by subset')}"
            )
        return Section(
            name=self.name,
            title=TITLE,
            summary=tuple(
                SummaryRow(f"Similar {group} at once, {place}", "exact subset", scores.exact, scores.n_clips)
                for (place, group), scores in scored.items()
            ),
            record={
                "banks": {name: {"use": use, "exact": banks[name]} for name, use in uses.items()},
                "groups": {
                    place: {group: scores for (where, group), scores in scored.items() if where == place}
                    for place, _ in scored
                },
            },
            text="Every subset of a group plays equally often, in natural ranges. *Exactly right* asks for "
            "just those of the group that play, whatever else is reported; the last column of a picture is "
            "what else is.\n\n" + "\n\n".join((*texts, _bank_table(uses, banks))),
            pictures=pictures,
            files={},
        )


def _bank_groups(request: Request) -> Iterator[tuple[Bank, str]]:
    """Every bank with every group that it and the model have."""
    found = [
        (bank, group)
        for bank in _banks(request)
        for group, instruments in GROUPS.items()
        if set(instruments)
        <= {instrument.name for instrument in served_instruments(bank, request.card.labels)}
    ]
    if not found:
        raise InvalidRequestError(f"The model {request.card.id} or the banks lack every group of the suite.")
    yield from found


def _banks(request: Request) -> tuple[Bank, ...]:
    try:
        usual = [find_bank(DEFAULT_SOUNDFONT)]
    except SystemDependencyError:
        usual = []
    unseen = [bank for bank in request.all_banks() if use_of(bank, request.card).use == "unseen"]
    if not usual and not unseen:
        raise MissingSoundsError(f"The suite similar needs {DEFAULT_SOUNDFONT} or banks; there are none.")
    return (*usual, *(bank for bank in unseen if bank.name != DEFAULT_SOUNDFONT))


def _group_clips(request: Request, bank: Bank, group: str) -> tuple[PlannedClip, ...]:
    subsets = list(subsets_of(GROUPS[group]))
    each = max(1, round(request.n_clips / len(subsets)))
    clips: list[PlannedClip] = []
    for index, subset in enumerate(subsets):
        recipe = Recipe(
            name=f"similar-{group}-{index}",
            seed=own_seed(request.seed, f"{bank.name} {group} {index}"),
            n_clips=each,
            instruments=subset,
            instruments_per_clip=(len(subset),),
            melody=RandomMelody(pitch_range="natural"),
            soundfonts=(bank.name,),
        )
        clips += fresh_clips(recipe, request.card, {bank.name: bank})
    return tuple(clips)


def _place(bank: Bank) -> str:
    return DEFAULT_SOUNDFONT if bank.name == DEFAULT_SOUNDFONT else UNSEEN


def _set_name(bank: Bank, group: str) -> str:
    return f"similar {group} {bank.name}"


def _tables(scored: dict[str, GroupScore]) -> str:
    groups = table(
        ("group", "clips", "exactly right", "and nothing else reported"),
        [
            (name, f"{scores.n_clips:,}", with_interval(scores.exact), with_interval(scores.exact_of_all))
            for name, scores in scored.items()
        ],
    )
    instruments = table(
        ("instrument", "F1", "missed", "added"),
        [
            (
                name,
                with_interval(scores.f1[name]),
                percent(scores.missed[name]),
                percent(scores.added[name]),
            )
            for scores in scored.values()
            for name in scores.instruments
        ],
    )
    return f"{groups}\n\n{instruments}"


def _reported(scores: GroupScore) -> tuple[list[str], list[str], NDArray[np.float64]]:
    return [" + ".join(subset) for subset in scores.subsets], [*scores.instruments, OTHERS], scores.reported


def _bank_table(uses: dict[str, BankUse], exact: dict[str, dict[str, float]]) -> str:
    """Exactly right by bank; a bank that lacks an instrument of a group has a dash there."""
    rows = [
        (name, use.use, *(number(exact[name].get(group, np.nan)) for group in GROUPS))
        for name, use in uses.items()
    ]
    return table(("bank, exactly right", "use", *GROUPS), rows)
