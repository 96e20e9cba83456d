"""What a recipe says of controllers (`ml.synthesis.controllers`): which stems get them, and how strong."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ml.synthesis.sections import (
    Probability,
    RangeOfPositiveSeconds,
    RangeOfSeconds,
    RangeOfVelocities,
    RangePositive,
    Section,
)

MAX_RATE_HZ = 12.0  # four steps a wave

Shape = Literal["crescendo", "diminuendo", "swell"]


class Vibrato(Section):
    """The modulation wheel, up to a depth (1-127) after a delay from each note's start."""

    probability: Probability = 0.5
    depth: RangeOfVelocities = (20, 100)
    delay_s: RangeOfSeconds = (0.1, 0.4)


class Expression(Section):
    """One swelling or fading of the whole stem, between a lowest level (1-127) and the full one."""

    probability: Probability = 0.5
    shapes: Annotated[tuple[Shape, ...], Field(min_length=1)] = ("crescendo", "diminuendo", "swell")
    lowest: RangeOfVelocities = (40, 100)


class Scoop(Section):
    """Notes begin so many semitones too low and slide up within so many seconds."""

    probability: Probability = 0.3
    depth_semitones: RangePositive = (0.3, 1.5)
    duration_s: RangeOfPositiveSeconds = (0.05, 0.2)


def _can_be_sampled(value: tuple[float, float]) -> tuple[float, float]:
    if value[1] > MAX_RATE_HZ:
        raise ValueError(f"{value[1]} Hz is faster than {MAX_RATE_HZ} Hz")
    return value


class BendVibrato(Section):
    """A vibrato by pitch bend: rate, depth either way, delay from each note's start."""

    probability: Probability = 0.3
    rate_hz: Annotated[RangePositive, AfterValidator(_can_be_sampled)] = (4.0, 7.0)
    depth_semitones: RangePositive = (0.1, 0.5)
    delay_s: RangeOfSeconds = (0.1, 0.4)


class Controllers(Section):
    """What bends and swells; what is left out does not happen."""

    vibrato: Vibrato | None = None
    expression: Expression | None = None
    scoop: Scoop | None = None
    bend_vibrato: BendVibrato | None = None
