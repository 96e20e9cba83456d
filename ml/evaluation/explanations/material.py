"""Which clips are explained: fresh ones of two to four instruments, with their stems.

The protocol's recipe, and each bank that the model never heard in natural ranges. One instrument alone has
nothing beside it that a map could wrongly point at. The banks together have as many clips as the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ml.evaluation.clips import PlannedClip
from ml.evaluation.suites.banks import bank_recipe
from ml.evaluation.suites.fresh import BankUse, fresh_clips, own_seed, served_instruments, use_of
from ml.evaluation.suites.suite import Request
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, Bank, find_bank

AT_ONCE = (2, 3, 4)
N_LISTENED = 50  # clips of two instruments whose evidence is listened to
PROTOCOL, UNSEEN = "protocol", "unseen banks"


@dataclass(frozen=True)
class ExplainedSet:
    """Clips of one bank.

    Attributes
    ----------
    group : {"protocol", "unseen banks"}
        With which others its figures are taken together.
    use : BankUse
    recipe : Recipe
    clips : tuple of PlannedClip
    """

    group: str
    use: BankUse
    recipe: Recipe
    clips: tuple[PlannedClip, ...]


def explained_sets(request: Request) -> tuple[ExplainedSet, ...]:
    """The protocol's clips, then those of each bank that the model never heard.

    Parameters
    ----------
    request : Request
        Banks that have a single one of the model's instruments are left out, as there is nothing to mix.

    Raises
    ------
    InvalidRequestError
        When the model was trained on the seed, or lacks one of the protocol's instruments.
    MissingSoundFontError
        When the protocol's SoundFont is missing.
    """
    fluid = find_bank(DEFAULT_SOUNDFONT)
    sets = [
        _set(request, PROTOCOL, fluid, _protocol_recipe(request, "explanations", AT_ONCE, request.n_clips))
    ]
    unseen = [
        bank
        for bank in request.all_banks()
        if use_of(bank, request.card).use == "unseen"
        and len(served_instruments(bank, request.card.labels)) >= min(AT_ONCE)
    ]
    for bank in unseen:
        at_once = tuple(
            number for number in AT_ONCE if number <= len(served_instruments(bank, request.card.labels))
        )
        recipe = bank_recipe(request, bank).model_copy(
            update={
                "name": f"explanations-{bank_recipe(request, bank).name}",
                "seed": own_seed(request.seed, f"explanations {bank.name}"),
                "n_clips": -(-request.n_clips // len(unseen)),
                "instruments_per_clip": at_once,
            }
        )
        sets.append(_set(request, UNSEEN, bank, recipe))
    return tuple(sets)


def listened_clips(request: Request) -> tuple[PlannedClip, ...]:
    """Clips of two instruments by the protocol, at most `N_LISTENED`; errors as for `explained_sets`."""
    recipe = _protocol_recipe(request, "evidence", (2,), min(N_LISTENED, request.n_clips))
    return fresh_clips(recipe, request.card)


def _protocol_recipe(request: Request, name: str, at_once: tuple[int, ...], n_clips: int) -> Recipe:
    return Recipe(name=name, seed=own_seed(request.seed, name), n_clips=n_clips, instruments_per_clip=at_once)


def _set(request: Request, group: str, bank: Bank, recipe: Recipe) -> ExplainedSet:
    banks: Mapping[str, Bank] = {bank.name: bank}
    return ExplainedSet(group, use_of(bank, request.card), recipe, fresh_clips(recipe, request.card, banks))
