"""Pieces that every section of a recipe is made of: the strict base class, shared field types, ranges.

A range is `[lowest, highest]`, inclusive. Where a field takes one of several shapes, its branches carry tags
in angle brackets (`<several>`), which are left out when a fault names its field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a recipe: unknown fields are refused, nothing changes once it is validated."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def ordered(value: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range whose lowest number is above the highest."""
    if not value[0] <= value[1]:  # also refuses NaN
        raise ValueError(f"range [{value[0]}, {value[1]}] is empty: the first number must not be the larger")
    return value


def _ordered_integers(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"range [{value[0]}, {value[1]}] is empty: the first number must not be the larger")
    return value


Decibels = Annotated[float, Field(ge=-120.0, le=120.0)]
Seconds = Annotated[float, Field(ge=0.0, le=600.0)]
PositiveSeconds = Annotated[float, Field(gt=0.0, le=600.0)]
Positive = Annotated[float, Field(gt=0.0, le=1e6)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Weight = Annotated[float, Field(gt=0.0, le=1e9)]
Pitch = Annotated[int, Field(ge=0, le=127)]
Velocity = Annotated[int, Field(ge=1, le=127)]
Count = Annotated[int, Field(ge=1, le=128)]

RangeOfDecibels = Annotated[tuple[Decibels, Decibels], AfterValidator(ordered)]
RangeOfSeconds = Annotated[tuple[Seconds, Seconds], AfterValidator(ordered)]
RangeOfPositiveSeconds = Annotated[tuple[PositiveSeconds, PositiveSeconds], AfterValidator(ordered)]
RangePositive = Annotated[tuple[Positive, Positive], AfterValidator(ordered)]
RangeOfShares = Annotated[tuple[Share, Share], AfterValidator(ordered)]
RangeOfPitches = Annotated[tuple[Pitch, Pitch], AfterValidator(_ordered_integers)]
RangeOfVelocities = Annotated[tuple[Velocity, Velocity], AfterValidator(_ordered_integers)]
RangeOfCounts = Annotated[tuple[Count, Count], AfterValidator(_ordered_integers)]


def field_name(location: Sequence[int | str]) -> str:
    """Spell where a fault lies, for example ``melody.0.pitch_range``.

    Parameters
    ----------
    location : sequence of int or str
        As pydantic gives it, branches' tags included.

    Returns
    -------
    str
        ``recipe`` for the recipe as a whole.
    """
    return ".".join(str(part) for part in location if not str(part).startswith("<")) or "recipe"
