"""Fresh clips: a recipe's clips made for a test, with sounds and seed checked against the training."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ml.checkpoint import ModelCard
from ml.errors import InvalidRequestError
from ml.evaluation.clips import PlannedClip
from ml.instruments import INSTRUMENTS, Instrument
from ml.synthesis.bank_check import check_banks, require_presets
from ml.synthesis.instantiate import instantiate
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import Bank, MissingSoundFontError


@dataclass(frozen=True)
class BankUse:
    """Whether a model was trained on a bank.

    Attributes
    ----------
    name, sha256 : str
        Of the bank.
    use : {"trained", "unseen"}
    known_by : {"hash", "name", ""}
        How the model's card names it. Banks that share samples under other names are not noticed.
    """

    name: str
    sha256: str
    use: Literal["trained", "unseen"]
    known_by: Literal["hash", "name", ""]


def use_of(bank: Bank, card: ModelCard) -> BankUse:
    """Say whether a model was trained on a bank, by the sounds on its card.

    Parameters
    ----------
    bank : Bank
    card : ModelCard

    Returns
    -------
    BankUse
        Equal files are the same bank; so are equal names but for case and punctuation (FluidR3_GM,
        FluidR3-GM).
    """
    sha256 = _hash_of(bank)
    if any(sound.sha256 == sha256 for sound in card.sounds):
        return BankUse(bank.name, sha256, "trained", "hash")
    if _letters(bank.name) in {_letters(sound.name) for sound in card.sounds}:
        return BankUse(bank.name, sha256, "trained", "name")
    return BankUse(bank.name, sha256, "unseen", "")


def fresh_clips(
    recipe: Recipe, card: ModelCard, banks: Mapping[str, Bank] | None = None
) -> tuple[PlannedClip, ...]:
    """Instantiate a recipe's clips for a test; all are used, whatever their split.

    Parameters
    ----------
    recipe : Recipe
    card : ModelCard
        Of the model that is tested.
    banks : mapping of str to Bank, optional
        The recipe's SoundFonts by name; by default they are looked for on this machine.

    Raises
    ------
    InvalidRequestError
        When the model was trained on a recipe of this seed, or lacks one of its instruments.
    MissingSoundFontError
        When a SoundFont is missing.
    """
    if recipe.seed == (card.dataset.get("recipe") or {}).get("seed"):
        raise InvalidRequestError(f"Seed {recipe.seed} is that of the model's training data; choose another.")
    missing = [instrument.name for instrument in recipe.vocabulary if instrument.name not in card.labels]
    if missing:
        raise InvalidRequestError(f"The model {card.id} has no label for {', '.join(missing)}.")
    served = banks if banks is not None else check_banks(recipe)
    return tuple(PlannedClip(plan, served) for plan in instantiate(recipe))


def served_instruments(bank: Bank, among: Sequence[str]) -> tuple[Instrument, ...]:
    """The instruments of the vocabulary that are among some labels and that a bank has.

    Parameters
    ----------
    bank : Bank
    among : sequence of str
    """
    return tuple(
        instrument for instrument in INSTRUMENTS if instrument.name in among and _serves(bank, instrument)
    )


def own_seed(seed: int, name: str) -> int:
    """A seed for one of several sets, so that they do not play the same notes."""
    return seed + zlib.crc32(name.encode())


@functools.cache
def _hash_of(bank: Bank) -> str:
    """A bank's hash, computed once: a whole bank in one file takes a noticeable time."""
    return bank.sha256()


@functools.cache
def _serves(bank: Bank, instrument: Instrument) -> bool:
    try:
        require_presets(bank, [instrument])
    except MissingSoundFontError:
        return False
    return True


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
