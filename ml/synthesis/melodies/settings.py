"""Settings of the melody sources, as a recipe's `melody` section has them.

Durations are in seconds, pitches are MIDI note numbers, shares and probabilities lie in 0..1. `weight`
matters where a recipe lists several melodies, of which each clip draws one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Tag, field_validator

from ml.instruments import Instrument
from ml.synthesis.sections import (
    Probability,
    RangeNotNegative,
    RangeOfCounts,
    RangeOfPitches,
    RangeOfShares,
    RangeOfVelocities,
    RangePositive,
    Section,
    Weight,
)

MIN_NOTE_S = 0.01

PitchRange = Annotated[
    Annotated[RangeOfPitches, Tag("<range>")] | Annotated[Literal["natural"], Tag("<natural>")],
    Discriminator(lambda value: "<natural>" if isinstance(value, str) else "<range>"),
]


class RandomMelody(Section):
    """Random notes, or chords, and rests, one after another.

    Attributes
    ----------
    pitch_range : (int, int) or ``natural``
        A range for all instruments, or each instrument's own.
    register_width : (int, int), optional
        The notes of one stem stay in a window of so many semitones, somewhere within the range.
    voices : (int, int)
        Notes that sound at once in a stem that plays chords; never more than the instrument's own limit.
    chord_probability : float
        Share of stems that play chords; the others play single notes.
    sounding_share : (float, float), optional
        A stem that is partial sounds in so large a part of the clip only: it begins late or ends early.
    partial_probability : float
        Share of stems that are partial.
    """

    source: Literal["random"] = "random"
    weight: Weight = 1.0
    pitch_range: PitchRange = (60, 72)
    register_width: RangeOfCounts | None = None
    note_duration_s: RangePositive = (0.2, 2.0)
    rest_duration_s: RangeNotNegative = (0.0, 0.3)
    velocity: RangeOfVelocities = (70, 127)
    voices: RangeOfCounts = (1, 1)
    chord_probability: Probability = 1.0
    sounding_share: RangeOfShares | None = None
    partial_probability: Probability = 1.0

    @field_validator("note_duration_s")
    @classmethod
    def _notes_have_a_length(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] < MIN_NOTE_S:
            raise ValueError(f"starts at {value[0]} s; notes need at least {MIN_NOTE_S} s")
        return value

    @property
    def reach(self) -> str | None:
        """The field that reaches out of the recipe, to files or programs of the machine; None here."""
        return None

    @property
    def is_plain(self) -> bool:
        """Whether it is one voice of notes all along the clip, in the whole pitch range."""
        return self.register_width is None and self.voices == (1, 1) and self.sounding_share is None

    def pitches_of(self, instrument: Instrument) -> tuple[int, int]:
        """Lowest and highest pitch to draw for an instrument, inclusive."""
        if self.pitch_range == "natural":
            return instrument.lowest_pitch, instrument.highest_pitch
        return self.pitch_range


Melody = RandomMelody
