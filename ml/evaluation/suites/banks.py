"""The suite `banks`: fresh clips of each bank alone, in natural ranges, one to four instruments at once.

Instruments that a bank lacks are left out. The report keeps apart the banks that the model was trained on, as
its card says by hash or by name, and those it never heard; a bank that shares samples with a training bank
under another name counts as unseen here, so clean such twins out beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml.errors import InvalidRequestError
from ml.evaluation.charts import draw_bars
from ml.evaluation.clips import ClipSet
from ml.evaluation.listening import Heard
from ml.evaluation.markdown import number, picture, table, with_interval
from ml.evaluation.scores import ClipScores, score
from ml.evaluation.sections import Section, SummaryRow, Target
from ml.evaluation.sounds import MissingSoundsError
from ml.evaluation.suites.fresh import BankUse, fresh_clips, own_seed, served_instruments, use_of
from ml.evaluation.suites.scored import scored_pictures, scored_row, scored_text
from ml.evaluation.suites.suite import Request
from ml.instruments import INSTRUMENTS, slug_of
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import Bank

TARGET = Target(at_least=0.90, aim=0.95)  # of a bank that the model never heard
MOST_AT_ONCE = 4
TITLE = "Other banks, natural ranges, 1-4 instruments"
GROUPS = {"unseen": "banks it never heard", "trained": "banks it was trained on"}


class BanksSuite:
    """Every bank in the folder of sounds, and every bank that is named."""

    name = "banks"

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """One set for each bank."""
        return tuple(
            ClipSet(
                f"bank {bank.name}",
                "macro-F1",
                fresh_clips(bank_recipe(request, bank), request.card, {bank.name: bank}),
            )
            for bank in _banks(request)
        )

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """A figure for each bank, and all figures of the unseen and of the others, each taken together."""
        uses = [use_of(bank, request.card) for bank in _banks(request)]
        scored = {use.name: score([part], request.seed) for use, part in zip(uses, heard, strict=True)}
        groups = {
            GROUPS[kind]: score(parts, request.seed)
            for kind in GROUPS
            if (parts := [part for use, part in zip(uses, heard, strict=True) if use.use == kind])
        }
        pictures = scored_pictures(self.name, groups, request.card.labels, "Banks")
        pictures["banks-each.png"] = _draw_banks(uses, scored)
        return Section(
            name=self.name,
            title=TITLE,
            summary=_summary(uses, scored, groups),
            record={
                "banks": {
                    use.name: _bank_record(request, bank, use, scored[use.name])
                    for bank, use in zip(_banks(request), uses, strict=True)
                },
                "groups": groups,
            },
            text="\n\n".join(
                (
                    "Each bank plays alone: one to four instruments at once, notes from each instrument's "
                    "whole natural range.",
                    _table(request, uses, scored),
                    picture("banks-each.png", "Macro-F1 of each bank with 95 % intervals"),
                    scored_text(self.name, groups),
                )
            ),
            pictures=pictures,
            files={},
        )


def bank_recipe(request: Request, bank: Bank) -> Recipe:
    """The recipe by which a bank is tested: the protocol in natural ranges, of the instruments that it has.

    Parameters
    ----------
    request : Request
    bank : Bank

    Returns
    -------
    Recipe
        With a seed of the bank's own.

    Raises
    ------
    InvalidRequestError
        When the bank has none of the model's instruments.
    """
    names = tuple(instrument.name for instrument in served_instruments(bank, request.card.labels))
    if not names:
        raise InvalidRequestError(f"The bank {bank.name} has none of the instruments of {request.card.id}.")
    return Recipe(
        name=f"bank-{slug_of(bank.name)}",
        description="The protocol in natural pitch ranges.",
        seed=own_seed(request.seed, bank.name),
        n_clips=request.n_clips,
        instruments=names,
        instruments_per_clip=tuple(range(1, min(MOST_AT_ONCE, len(names)) + 1)),
        melody=RandomMelody(pitch_range="natural"),
        soundfonts=(bank.name,),
    )


def _banks(request: Request) -> tuple[Bank, ...]:
    if banks := request.all_banks():
        return banks
    if request.sounds is None:
        raise MissingSoundsError("The suite banks needs banks; name some with --bank or --sounds.")
    return request.sounds.banks()  # says what is missing


def _summary(
    uses: Sequence[BankUse], scored: Mapping[str, ClipScores], groups: Mapping[str, ClipScores]
) -> tuple[SummaryRow, ...]:
    unseen = [use.name for use in uses if use.use == "unseen"]
    rows = [
        scored_row(f"Bank never trained on: {name}, natural ranges", scored[name], TARGET) for name in unseen
    ]
    if len(unseen) > 1:
        together = groups[GROUPS["unseen"]]
        rows.append(scored_row(f"All {len(unseen)} banks never trained on", together, TARGET))
    if trained := groups.get(GROUPS["trained"]):
        n_trained = len(uses) - len(unseen)
        which = f"The {n_trained} banks" if n_trained > 1 else "The bank"
        rows.append(scored_row(f"{which} trained on, natural ranges", trained))
    return tuple(rows)


def _bank_record(request: Request, bank: Bank, use: BankUse, scores: ClipScores) -> dict[str, object]:
    recipe = bank_recipe(request, bank)
    return {
        **vars(use),
        "recipe_sha256": recipe.digest,
        "seed": recipe.seed,
        "instruments": recipe.labels,
        "n_clips": scores.n_clips,
        "macro_f1": scores.macro_f1,
        "micro_f1": scores.micro_f1,
        "exact": scores.exact,
        "per_instrument": scores.per_instrument,
        "by_number": scores.by_number,
        "calibration": scores.calibration,
    }


def _table(request: Request, uses: Sequence[BankUse], scored: Mapping[str, ClipScores]) -> str:
    rows = []
    for use in uses:
        scores = scored[use.name]
        lacking = [
            instrument.name
            for instrument in INSTRUMENTS
            if instrument.name in request.card.labels and instrument.name not in scores.per_instrument
        ]
        weakest = min(scores.per_instrument, key=lambda label: scores.per_instrument[label].f1.value)
        rows.append(
            (
                use.name,
                f"trained on (same {use.known_by})" if use.use == "trained" else "**never heard**",
                f"{scores.n_clips:,}",
                with_interval(scores.macro_f1),
                with_interval(scores.exact),
                number(scores.calibration.mean),
                f"{weakest} {number(scores.per_instrument[weakest].f1.value)}",
                ", ".join(lacking) or "–",
                use.sha256[:12],
            )
        )
    header = ("bank", "use", "clips", "macro-F1", "exactly right", "calibration error", "weakest", "lacks")
    return table((*header, "hash"), rows)


def _draw_banks(uses: Sequence[BankUse], scored: Mapping[str, ClipScores]) -> bytes:
    series = {
        title: {use.name: scored[use.name].macro_f1 for use in uses if use.use == kind}
        for kind, title in GROUPS.items()
    }
    return draw_bars(
        {title: values for title, values in series.items() if values}, "macro-F1", "Each bank alone"
    )
