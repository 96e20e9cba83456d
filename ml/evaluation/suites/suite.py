"""The interface of a suite: it says which clips are to be heard, and reports on what was heard.

Listening lies between the two, so that all suites share its processes and every compared model hears the
same sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ml.checkpoint import ModelCard
from ml.evaluation.clips import ClipSet
from ml.evaluation.listening import Heard
from ml.evaluation.sections import Section
from ml.evaluation.sounds import MissingSoundsError, SoundsFolder
from ml.synthesis.recipe import Recipe
from ml.synthesis.soundfonts import Bank


@dataclass(frozen=True)
class Request:
    """What was asked of an evaluation.

    Attributes
    ----------
    card : ModelCard
        The model's.
    n_clips : int
        Clips of each set that is made freshly.
    seed : int
        Decides every clip and every resampling.
    sounds : SoundsFolder or None
    banks : tuple of Bank
        Banks beside those of the folder.
    recipes : tuple of Recipe
        Recipes to test on; their own numbers of clips and seeds do not count.
    datasets : tuple of str
        Folders or URLs of data sets to test on.
    compared : tuple of ModelCard
        Of the models that hear the same clips.
    """

    card: ModelCard
    n_clips: int
    seed: int
    sounds: SoundsFolder | None = None
    banks: tuple[Bank, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    datasets: tuple[str, ...] = ()
    compared: tuple[ModelCard, ...] = ()

    def need_sounds(self, suite: str) -> SoundsFolder:
        """The folder of sounds.

        Raises
        ------
        MissingSoundsError
            When none was given.
        """
        if self.sounds is None:
            raise MissingSoundsError(f"The suite {suite} needs a folder of sounds; name one with --sounds.")
        return self.sounds

    def all_banks(self) -> tuple[Bank, ...]:
        """The named banks and those of the folder, by name; there may be none."""
        found = {bank.name: bank for bank in self.banks}
        if self.sounds is not None and self.sounds.has_banks:
            found = {**{bank.name: bank for bank in self.sounds.banks()}, **found}
        return tuple(found[name] for name in sorted(found, key=str.lower))


class Suite(Protocol):
    """One kind of test."""

    @property
    def name(self) -> str:
        """What it is asked for by."""
        ...

    def clip_sets(self, request: Request) -> tuple[ClipSet, ...]:
        """What is to be heard.

        Raises
        ------
        InvalidRequestError
            When the model cannot be tested on it.
        MissingSoundsError, SystemDependencyError
            When sounds are missing.
        """
        ...

    def section(self, request: Request, heard: Sequence[Heard]) -> Section:
        """Report on what the model made of the sets, which come in the order of `clip_sets`."""
        ...
