"""Recipes: what a data set should sound like, before any random choice is made.

A recipe is a YAML file (or the same as JSON) validated here, once. `ml.synthesis.instantiate` turns it and
its seed into clips in which every choice is made. Ranges are `[lowest, highest]`, inclusive; durations are in
seconds, levels in dB, pitches are MIDI note numbers, probabilities lie in 0..1.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ml.errors import InvalidRequestError, UnknownInstrumentError
from ml.instruments import INSTRUMENTS, Instrument, instruments_named

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Pitch = Annotated[int, Field(ge=0, le=127)]


class InvalidRecipeError(InvalidRequestError):
    """A recipe that cannot be rendered; the message names the field and the reason."""

    code = "invalid-recipe"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"range [{value[0]}, {value[1]}] is empty: the first number must not be the larger")
    return value


class Melody(_Section):
    """How each instrument's notes are drawn: one voice of random notes and rests.

    `pitch_range` is a range for all instruments, or ``natural`` for each instrument's own.
    """

    source: Literal["random"] = "random"
    pitch_range: tuple[Pitch, Pitch] | Literal["natural"] = (60, 72)
    note_duration_s: tuple[float, float] = (0.2, 2.0)
    rest_duration_s: tuple[float, float] = (0.0, 0.3)
    velocity: tuple[Annotated[int, Field(ge=1, le=127)], Annotated[int, Field(ge=1, le=127)]] = (70, 127)

    @field_validator("pitch_range", "note_duration_s", "rest_duration_s", "velocity")
    @classmethod
    def _ranges_are_ordered(cls, value: object) -> object:
        return _ordered(value) if isinstance(value, tuple) else value

    @model_validator(mode="after")
    def _notes_have_a_length(self) -> Self:
        if self.note_duration_s[0] < 0.01:
            raise ValueError(
                f"note_duration_s starts at {self.note_duration_s[0]} s; notes need at least 0.01 s"
            )
        if self.rest_duration_s[0] < 0.0:
            raise ValueError(f"rest_duration_s starts at {self.rest_duration_s[0]} s; it cannot be negative")
        return self

    def pitches_of(self, instrument: Instrument) -> tuple[int, int]:
        """Lowest and highest pitch to draw for an instrument, inclusive."""
        if self.pitch_range == "natural":
            return instrument.lowest_pitch, instrument.highest_pitch
        return self.pitch_range


class Recipe(_Section):
    """A whole data set. See `recipes/protocol.yaml` for an example with every field explained."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    description: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    n_clips: Annotated[int, Field(ge=1, le=10_000_000)]
    validation_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    clip_duration_s: Annotated[float, Field(ge=0.5, le=60.0)] = 5.0
    instruments: tuple[str, ...] = tuple(instrument.name for instrument in INSTRUMENTS)
    instruments_per_clip: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2, 3, 4)
    melody: Melody = Melody()
    level_db: tuple[float, float] = (-3.0, 3.0)
    soundfonts: tuple[str, ...] = ("FluidR3_GM",)
    reverb_probability: Probability = 0.5
    chorus_probability: Probability = 0.5

    @field_validator("level_db")
    @classmethod
    def _level_is_ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        return _ordered(value)

    @field_validator("instruments")
    @classmethod
    def _instruments_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            instruments_named(value)
        except UnknownInstrumentError as error:
            known = ", ".join(instrument.name for instrument in INSTRUMENTS)
            raise ValueError(f"{error} Known: {known}.") from error
        if len(set(value)) != len(value):
            raise ValueError("an instrument is named twice")
        return value

    @model_validator(mode="after")
    def _clips_can_be_drawn(self) -> Self:
        if not self.instruments or not self.instruments_per_clip or not self.soundfonts:
            raise ValueError("instruments, instruments_per_clip and soundfonts must each name at least one")
        if max(self.instruments_per_clip) > len(self.instruments):
            raise ValueError(
                f"instruments_per_clip asks for {max(self.instruments_per_clip)} of "
                f"{len(self.instruments)} instruments"
            )
        if max(self.instruments_per_clip) > 15:
            raise ValueError("instruments_per_clip is limited to 15, the melodic channels of a MIDI port")
        return self

    @property
    def vocabulary(self) -> tuple[Instrument, ...]:
        """The instruments in label order."""
        return instruments_named(self.instruments)

    @property
    def digest(self) -> str:
        """SHA-256 of the validated recipe: equal digests make equal data sets."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def parse_recipe(text: str) -> Recipe:
    """Validate a recipe.

    Parameters
    ----------
    text : str
        YAML or JSON.

    Returns
    -------
    Recipe

    Raises
    ------
    InvalidRecipeError
        When the text is not YAML or a field is missing, unknown or out of range; all faults are named.
    """
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidRecipeError(f"The recipe is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise InvalidRecipeError("The recipe is not a mapping of fields.")
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'recipe'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise InvalidRecipeError(
            f"The recipe is not valid: {'; '.join(faults)}.", extra={"faults": faults}
        ) from error


def read_recipe(path: Path) -> Recipe:
    """Read and validate a recipe file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Recipe

    Raises
    ------
    InvalidRecipeError
        When the file cannot be read, or as for `parse_recipe`.
    """
    try:
        return parse_recipe(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidRecipeError(f"The recipe {path} is not text.") from error
