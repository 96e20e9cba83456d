"""The interface of melody sources: what every one of them gives, and what it is given to draw with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ml.errors import FieldFault, InvalidRequestError, named
from ml.instruments import Instrument
from ml.synthesis.plan import Note


class MelodySourceError(InvalidRequestError):
    """A melody source gives nothing: a folder without MIDI files, a program that fails."""

    code = "melody-source"


def source_fault(field: str, message: str) -> MelodySourceError:
    """The error that names a field of the melody's settings."""
    return MelodySourceError(f"melody.{field}: {message}", extra=named([FieldFault(field, message)]))


# Called with (files read, files in all) after every file; may raise to stop.
OnFile = Callable[[int, int], None]


def nobody_watches(done: int, total: int) -> None:
    """Lets the work go on."""


@dataclass(frozen=True)
class Melodic:
    """Notes of a stem, by start then pitch, and the SHA-256 of the MIDI file they were taken from, if any."""

    notes: tuple[Note, ...]
    sha256: str = ""


@dataclass(frozen=True)
class Occasion:
    """For which stem a melody is wanted, and what it is to be drawn with.

    Attributes
    ----------
    seed : int
        The recipe's.
    clip : int
        The clip's index.
    duration_s : float
        The clip's length.
    instrument : Instrument
    base : numpy.random.Generator
        The clip's base generator; only plain random melodies draw from it.
    own : numpy.random.Generator
        This stem's own generator for its melody.
    """

    seed: int
    clip: int
    duration_s: float
    instrument: Instrument
    base: np.random.Generator
    own: np.random.Generator


class MelodySource(Protocol):
    """Where melodies come from. Equal occasions give equal melodies."""

    def draw(self, occasion: Occasion) -> Melodic:
        """Give a stem its notes: at least one, starting within the clip.

        Raises
        ------
        MelodySourceError
            When the source has nothing to give.
        """
        ...
