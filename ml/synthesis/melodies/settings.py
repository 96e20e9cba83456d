"""Settings of the melody sources, as a recipe's `melody` section has them.

Durations are in seconds, pitches are MIDI note numbers, shares and probabilities lie in 0..1. `weight`
matters where a recipe lists several melodies, of which each clip draws one.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from ml.instruments import Instrument
from ml.synthesis.sections import (
    Integer,
    PositiveSeconds,
    Probability,
    RangeOfCounts,
    RangeOfPitches,
    RangeOfPositiveSeconds,
    RangeOfSeconds,
    RangeOfShares,
    RangeOfVelocities,
    Section,
    Weight,
)

MIN_NOTE_S = 0.01

PitchRange = Annotated[
    Annotated[RangeOfPitches, Tag("<range>")] | Annotated[Literal["natural"], Tag("<natural>")],
    Discriminator(lambda value: "<natural>" if isinstance(value, str) else "<range>"),
]


class _Melody(Section):
    """What all sources have in common.

    Attributes
    ----------
    pitch_range : (int, int) or ``natural``
        A range for all instruments, or each instrument's own.
    """

    weight: Weight = 1.0
    pitch_range: PitchRange = "natural"

    def pitches_of(self, instrument: Instrument) -> tuple[int, int]:
        """Lowest and highest pitch that an instrument plays, inclusive."""
        if self.pitch_range == "natural":
            return instrument.lowest_pitch, instrument.highest_pitch
        return self.pitch_range

    @property
    def reach(self) -> str | None:
        """The field by which it reaches files or programs of the machine, where it does."""
        return None


class RandomMelody(_Melody):
    """Random notes, or chords, and rests, one after another.

    Attributes
    ----------
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
    pitch_range: PitchRange = (60, 72)
    register_width: RangeOfCounts | None = None
    note_duration_s: RangeOfPositiveSeconds = (0.2, 2.0)
    rest_duration_s: RangeOfSeconds = (0.0, 0.3)
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
    def is_plain(self) -> bool:
        """Whether it is one voice of notes all along the clip, in the whole pitch range."""
        return self.register_width is None and self.voices == (1, 1) and self.sounding_share is None


class PhraseMelody(_Melody):
    """Phrases of existing music, transposed into each instrument's range.

    Attributes
    ----------
    folder : str, optional
        A folder of MIDI files (searched in depth), or
    corpus : ``music21``, optional
        the scores that the package music21 brings along.
    works : str, optional
        Which of music21's scores: part of their path, such as ``bach`` or ``essenFolksong/altdeu10``.
    max_files : int
        Only so many files are read, the first ones by name.
    velocity : (int, int), optional
        The velocities of a file are brought into this range; by default they stay.
    """

    source: Literal["phrases"]
    folder: Annotated[str, Field(min_length=1)] | None = None
    corpus: Literal["music21"] | None = None
    works: Annotated[str, Field(max_length=200)] = "bach"
    max_files: Annotated[Integer, Field(ge=1, le=100_000)] = 200
    velocity: RangeOfVelocities | None = None

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.folder is None) == (self.corpus is None):
            raise ValueError("phrases come either from a folder or from a corpus: give one of the two")
        return self

    @property
    def reach(self) -> str | None:
        return "folder" if self.folder is not None else None


class GeneratorMelody(_Melody):
    """Melodies that another program invents: a command that writes MIDI files.

    Attributes
    ----------
    command : list of str
        The program and its arguments, run without a shell. In them ``{out}`` becomes the folder to write
        MIDI files into, ``{seed}`` a number that decides what is invented, ``{duration_s}`` the length of
        a clip.
    timeout_s : float
        A run that takes longer is stopped, and fails.
    clips_per_run : int
        So many successive clips share what one run wrote.
    velocity : (int, int), optional
        The velocities of a file are brought into this range; by default they stay.
    """

    source: Literal["generator"]
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    timeout_s: PositiveSeconds = 60.0
    clips_per_run: Annotated[Integer, Field(ge=1, le=1_000_000)] = 1
    velocity: RangeOfVelocities | None = None

    @field_validator("command")
    @classmethod
    def _knows_where_to_write(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value[0]:
            raise ValueError("has no program")
        if not any("{out}" in word for word in value):
            raise ValueError("needs {out}, which becomes the folder that it writes MIDI files into")
        return value

    @property
    def reach(self) -> str | None:
        return "command"


def _source(value: object) -> str:
    source = value.get("source", "random") if isinstance(value, dict) else getattr(value, "source", "random")
    return f"<{source}>" if isinstance(source, str) else "<random>"


Melody = Annotated[
    Annotated[RandomMelody, Tag("<random>")]
    | Annotated[PhraseMelody, Tag("<phrases>")]
    | Annotated[GeneratorMelody, Tag("<generator>")],
    Discriminator(
        _source,
        custom_error_type="unknown_source",
        custom_error_message="source is none of random, phrases, generator",
    ),
]
