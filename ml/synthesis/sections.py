"""Pieces that every section of a recipe is made of: the strict base class, shared field types, ranges.

A range is `[lowest, highest]`, inclusive. Where a field takes one of several shapes, its branches carry tags
in angle brackets (`<several>`), which are left out when a fault names its field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

_LONGEST_ECHO = 60
_SAY_THEIR_VALUE = frozenset({"value_error", "missing", "unknown_field", "extra_forbidden"})
_BUILT_IN = frozenset(get_args(ErrorType))


class Section(BaseModel):
    """A part of a recipe: unknown fields are refused, nothing changes once it is validated."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _unknown_fields_are_told_the_known(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            known = ", ".join(cls.model_fields)
            faults = [_retold(fault, known) for fault in error.errors()]
            raise ValidationError.from_exception_data(error.title, faults) from None


def _retold(fault: ErrorDetails, known: str) -> InitErrorDetails:
    """A fault as it was; of a field that this section does not have, with those that it has."""
    kind: str | PydanticCustomError = fault["type"]
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        kind = PydanticCustomError("unknown_field", "unknown field; known: {known}", {"known": known})
    elif fault["type"] not in _BUILT_IN:  # also what a section within has retold
        kind = PydanticCustomError(fault["type"], fault["msg"], fault.get("ctx"))
    return InitErrorDetails(type=kind, loc=fault["loc"], input=fault["input"], ctx=fault.get("ctx", {}))


def _no_boolean(value: object) -> object:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")
    return value


def ordered(value: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range whose lowest number is above the highest."""
    if not value[0] <= value[1]:  # also refuses NaN
        raise ValueError(f"range [{value[0]}, {value[1]}] is empty: the first number must not be the larger")
    return value


def _ordered_integers(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"range [{value[0]}, {value[1]}] is empty: the first number must not be the larger")
    return value


NO_BOOLEAN = BeforeValidator(_no_boolean)  # stands last: the JSON schema loses limits behind it
Integer = Annotated[int, Field(strict=True)]
YesOrNo = Annotated[bool, Field(strict=True)]

ValidationShare = Annotated[float, Field(ge=0.0, lt=1.0), NO_BOOLEAN]
Decibels = Annotated[float, Field(ge=-120.0, le=120.0), NO_BOOLEAN]
ClipSeconds = Annotated[float, Field(ge=0.5, le=60.0), NO_BOOLEAN]
Seconds = Annotated[float, Field(ge=0.0, le=600.0), NO_BOOLEAN]
PositiveSeconds = Annotated[float, Field(gt=0.0, le=600.0), NO_BOOLEAN]
Positive = Annotated[float, Field(gt=0.0, le=1e6), NO_BOOLEAN]
Probability = Annotated[float, Field(ge=0.0, le=1.0), NO_BOOLEAN]
Share = Annotated[float, Field(gt=0.0, le=1.0), NO_BOOLEAN]
SmallShare = Annotated[float, Field(ge=0.0, le=0.99), NO_BOOLEAN]
Weight = Annotated[float, Field(gt=0.0, le=1e9), NO_BOOLEAN]
Pitch = Annotated[Integer, Field(ge=0, le=127)]
Velocity = Annotated[Integer, Field(ge=1, le=127)]
Count = Annotated[Integer, Field(ge=1, le=128)]
CountKey = Annotated[int, Field(ge=1, le=128), NO_BOOLEAN]  # JSON's keys are texts

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


def fault_message(fault: ErrorDetails) -> str:
    """Spell what is wrong with a field, with the value that it has.

    Parameters
    ----------
    fault : ErrorDetails
        As pydantic gives it.

    Returns
    -------
    str
        Without a full stop.
    """
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in _SAY_THEIR_VALUE:
        return message
    given = str(fault["input"])
    return f"{message}, not {given if len(given) <= _LONGEST_ECHO else given[:_LONGEST_ECHO] + '...'!r}"
