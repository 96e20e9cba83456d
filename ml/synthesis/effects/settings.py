"""Settings of the effects, as a recipe's `effects` section has them.

Each effect is drawn once per clip with its probability; its ranges say between which values. Levels are in
dB, frequencies in Hz, times in seconds. What is left out does not happen.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ml.synthesis.sections import (
    Probability,
    RangeOfDecibels,
    RangeOfPositiveSeconds,
    RangePositive,
    Section,
    SmallShare,
    ordered,
)

NYQUIST_HZ = 22_050.0


def _audible(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < 10.0 or value[1] > NYQUIST_HZ:
        raise ValueError(f"[{value[0]}, {value[1]}] Hz is outside 10 to {NYQUIST_HZ} Hz")
    return value


def _compresses(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < 1.0:
        raise ValueError(f"a ratio of {value[0]} expands; it must be 1 or more")
    return value


RangeOfHz = Annotated[RangePositive, AfterValidator(_audible)]
RangeOfCompression = Annotated[
    tuple[SmallShare, SmallShare],
    AfterValidator(ordered),
]


class Equaliser(Section):
    """A random gain in every octave."""

    probability: Probability = 0.5
    gain_db: RangeOfDecibels = (-6.0, 6.0)


class Compression(Section):
    """Loud passages are turned down: above a threshold, relative to the mix's peak, levels grow `ratio` times
    less.
    """

    probability: Probability = 0.3
    threshold_db: RangeOfDecibels = (-30.0, -10.0)
    ratio: Annotated[RangePositive, AfterValidator(_compresses)] = (2.0, 8.0)
    attack_s: RangeOfPositiveSeconds = (0.002, 0.03)
    release_s: RangeOfPositiveSeconds = (0.05, 0.4)


class Noise(Section):
    """Noise, so many dB below the mix, falling by so many dB per octave (0 is white, 3 pink, 6 brown)."""

    probability: Probability = 0.5
    below_mix_db: RangeOfDecibels = (20.0, 60.0)
    fall_db_per_octave: RangeOfDecibels = (0.0, 6.0)


class BandLimits(Section):
    """What lies below the one frequency and above the other is taken away."""

    probability: Probability = 0.3
    low_hz: RangeOfHz = (20.0, 200.0)
    high_hz: RangeOfHz = (4_000.0, 16_000.0)

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.low_hz[1] >= self.high_hz[0]:
            raise ValueError(
                f"low_hz reaches {self.low_hz[1]} Hz, high_hz begins at {self.high_hz[0]} Hz: nothing is left"
            )
        return self


class Codec(Section):
    """The mix is coded and decoded; compression 0 is the best quality, 0.99 the smallest file."""

    probability: Probability = 0.3
    formats: Annotated[tuple[Literal["mp3", "ogg"], ...], Field(min_length=1)] = ("mp3", "ogg")
    compression: RangeOfCompression = (0.2, 0.9)


class Effects(Section):
    """Effects in the order in which they are applied."""

    equaliser: Equaliser | None = None
    compression: Compression | None = None
    noise: Noise | None = None
    band_limits: BandLimits | None = None
    codec: Codec | None = None
