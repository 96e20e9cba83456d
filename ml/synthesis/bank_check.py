"""Checking a recipe's banks on this machine, before anything is rendered.

Every bank has to be here, be a SoundFont that FluidSynth loads, and hold the preset (bank:program) of every
instrument that it may be drawn for: FluidSynth itself would silently play another one. A bank that validates
must not be trained on under another name either, which its files' contents show.

A bank that is not here is the machine's fault; one that is here and does not serve is the recipe's.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ml.errors import FieldFault, named
from ml.instruments import Instrument
from ml.synthesis.bank_choice import BankChoice, SplitBanks, choices
from ml.synthesis.recipe import InvalidRecipeError, Recipe
from ml.synthesis.render import load_fluidsynth
from ml.synthesis.soundfonts import (
    Bank,
    MissingSoundFontError,
    UnsuitableSoundFontError,
    find_bank,
    require_soundfont,
)


def check_banks(recipe: Recipe) -> dict[str, Bank]:
    """Find and check every bank of a recipe.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    dict of str to Bank
        By the names that the recipe uses.

    Raises
    ------
    MissingFluidSynthError
    InvalidRecipeError
        When a bank is no SoundFont or lacks the preset of an instrument, or one that validates has the
        contents of one that is trained on; `extra` lists all faults by field.
    MissingSoundFontError
        When the recipe is right as far as this machine can tell, and banks are missing here; likewise.
    """
    load_fluidsynth()
    banks: dict[str, Bank] = {}
    missing: list[FieldFault] = []
    faults: list[FieldFault] = []
    for field, choice in _fields(recipe):
        try:
            banks[choice.name] = find_bank(choice.name)
            require_presets(banks[choice.name], _served(recipe, choice))
        except UnsuitableSoundFontError as error:
            faults.append(FieldFault(field, str(error)))
        except MissingSoundFontError as error:
            missing.append(FieldFault(field, str(error)))
    if faults:
        raise InvalidRecipeError(" ".join(map(str, faults)), extra=named(faults))
    if missing:
        raise MissingSoundFontError(" ".join(map(str, missing)), extra=named(missing))
    if isinstance(recipe.soundfonts, SplitBanks):
        _require_apart(recipe, recipe.soundfonts, banks)
    return banks


def _fields(recipe: Recipe) -> Iterator[tuple[str, BankChoice]]:
    if not isinstance(recipe.soundfonts, SplitBanks):
        for place, choice in enumerate(choices(recipe.soundfonts)):
            yield f"soundfonts.{place}", choice
        return
    for split, entries in (("train", recipe.soundfonts.train), ("validation", recipe.soundfonts.validation)):
        for place, choice in enumerate(choices(entries)):
            yield f"soundfonts.{split}.{place}", choice


def _served(recipe: Recipe, choice: BankChoice) -> list[Instrument]:
    return [instrument for instrument in recipe.vocabulary if choice.serves([instrument.name])]


def require_presets(bank: Bank, instruments: Iterable[Instrument]) -> None:
    """Check that a bank holds the presets of instruments.

    Raises
    ------
    UnsuitableSoundFontError
        When a file is no SoundFont, or a preset is lacking.
    MissingSoundFontError
        When a file cannot be read.
    """
    by_file: dict[Path, list[Instrument]] = {}
    for instrument in instruments:
        by_file.setdefault(bank.file_for(instrument.program), []).append(instrument)
    for path, players in by_file.items():
        require_soundfont(path)
        with _opened(path) as (synth, soundfont_id):
            for player in players:
                if synth.sfpreset_name(soundfont_id, player.bank, player.program) is None:
                    raise UnsuitableSoundFontError(
                        f"SoundFont bank {bank.name} ({path}) has no preset {player.bank}:{player.program}, "
                        f"which plays {player.name}."
                    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, int]]:
    synth = load_fluidsynth().Synth(**{"synth.dynamic-sample-loading": 1, "synth.polyphony": 1})
    try:
        soundfont_id = synth.sfload(str(path))
        if soundfont_id < 0:
            raise UnsuitableSoundFontError(f"FluidSynth cannot load the SoundFont {path}.")
        yield synth, soundfont_id
    finally:
        synth.delete()


def _require_apart(recipe: Recipe, soundfonts: SplitBanks, banks: dict[str, Bank]) -> None:
    trained: dict[str, str] = {}
    for choice in choices(soundfonts.train):
        for digest in _digests(banks[choice.name], _served(recipe, choice)):
            trained[digest] = choice.name
    for place, choice in enumerate(choices(soundfonts.validation)):
        for digest in _digests(banks[choice.name], _served(recipe, choice)):
            if digest in trained:
                fault = FieldFault(
                    f"soundfonts.validation.{place}",
                    f"{choice.name} validates and must not be trained on, but {trained[digest]} has the same "
                    "contents.",
                )
                raise InvalidRecipeError(str(fault), extra=named([fault]))


def _digests(bank: Bank, instruments: list[Instrument]) -> set[str]:
    """Hashes of the files that play these instruments."""
    digests = set()
    for path in {bank.file_for(instrument.program).resolve() for instrument in instruments}:
        with path.open("rb") as stream:
            digests.add(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests
