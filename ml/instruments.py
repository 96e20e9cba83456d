"""The instrument vocabulary: what can be heard, named, synthesised and explained.

Conventions: General MIDI programs are counted from 0; pitches are MIDI note numbers (60 = C4 = 261.6 Hz);
a pitch range is inclusive at both ends and is the range the instrument *sounds* in, not the range it is
written in (a piccolo sounds an octave above its notation). `max_voices` is how many notes one player
of the instrument can sound at once.

Ranges follow Adler, *The Study of Orchestration* (4th ed.), for the acoustic instruments; synthesised ones
get the range in which General MIDI banks give them a usable sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ml.errors import UnknownInstrumentError


@dataclass(frozen=True)
class Instrument:
    """One entry of the vocabulary.

    Attributes
    ----------
    name : str
        The label, exactly as the API and model cards spell it.
    program : int
        General MIDI program, counted from 0.
    lowest_pitch, highest_pitch : int
        Natural sounding range, MIDI note numbers, inclusive.
    max_voices : int
        Notes that one player sounds at once.
    family : str
        Group of instruments that are easily mistaken for one another.
    bank : int
        MIDI bank of the program.
    """

    name: str
    program: int
    lowest_pitch: int
    highest_pitch: int
    max_voices: int
    family: str
    bank: int = 0

    @property
    def slug(self) -> str:
        """The name as it appears in file names: lower case, hyphens."""
        return slug_of(self.name)


INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("Acoustic Grand Piano", 0, 21, 108, 8, "keys"),
    Instrument("Nylon Acoustic Guitar", 24, 40, 83, 6, "plucked"),
    Instrument("String Ensemble 1", 48, 28, 96, 6, "strings"),
    Instrument("Piccolo", 72, 74, 102, 1, "winds"),
    Instrument("Celesta", 8, 60, 108, 6, "keys"),
    Instrument("Acoustic Bass", 32, 28, 67, 1, "plucked"),
    Instrument("Trumpet", 56, 55, 82, 1, "winds"),
    Instrument("Square Wave Lead", 80, 36, 96, 1, "synth"),
    Instrument("Hammond Organ", 16, 36, 96, 6, "keys"),
    Instrument("Violin", 40, 55, 100, 2, "strings"),
    Instrument("Soprano Sax", 64, 56, 88, 1, "winds"),
    Instrument("New Age Pad", 88, 36, 84, 6, "synth"),
)

_BY_NAME = {instrument.name: instrument for instrument in INSTRUMENTS}


def slug_of(label: str) -> str:
    """Spell a label for use in a file name.

    Parameters
    ----------
    label : str
        Any label, for example ``"Acoustic Grand Piano"``.

    Returns
    -------
    str
        Lower-case letters, digits and hyphens, for example ``"acoustic-grand-piano"``.
    """
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def instruments_named(names: Iterable[str]) -> tuple[Instrument, ...]:
    """Look instruments up by name, in the order asked for.

    Parameters
    ----------
    names : iterable of str
        Exact names of the vocabulary.

    Returns
    -------
    tuple of Instrument

    Raises
    ------
    UnknownInstrumentError
        When a name is not in the vocabulary; the error lists those that are.
    """
    wanted = list(names)
    unknown = [name for name in wanted if name not in _BY_NAME]
    if unknown:
        raise UnknownInstrumentError(
            f"Unknown instrument {', '.join(map(repr, unknown))}.",
            extra={"unknown": unknown, "available": list(_BY_NAME)},
        )
    return tuple(_BY_NAME[name] for name in wanted)
