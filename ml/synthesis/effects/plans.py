"""Effects with every choice made, as a plan keeps them: levels in dB, frequencies in Hz, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

_Plan = TypeVar("_Plan")


@dataclass(frozen=True)
class EqualiserPlan:
    """Gains at frequencies (rising), interpolated over the logarithm of frequency in between."""

    frequencies_hz: tuple[float, ...]
    gains_db: tuple[float, ...]


@dataclass(frozen=True)
class CompressionPlan:
    """`threshold_db` is relative to the mix's peak."""

    threshold_db: float
    ratio: float
    attack_s: float
    release_s: float


@dataclass(frozen=True)
class NoisePlan:
    """`seed` makes the samples; `below_mix_db` is the distance of the two root mean squares."""

    seed: int
    below_mix_db: float
    fall_db_per_octave: float


@dataclass(frozen=True)
class BandLimitsPlan:
    """Frequencies of -3 dB."""

    low_hz: float
    high_hz: float


@dataclass(frozen=True)
class CodecPlan:
    """`compression` as libsndfile understands it: 0 best quality, towards 1 the smallest file."""

    format: Literal["mp3", "ogg"]
    compression: float


@dataclass(frozen=True)
class EffectsPlan:
    """The effects of one clip, in the order in which they are applied; None where one is not."""

    equaliser: EqualiserPlan | None = None
    compression: CompressionPlan | None = None
    noise: NoisePlan | None = None
    band_limits: BandLimitsPlan | None = None
    codec: CodecPlan | None = None

    @staticmethod
    def from_fields(fields: dict[str, Any]) -> EffectsPlan:
        """Read a plan back from its JSON."""
        equaliser = fields.get("equaliser")
        return EffectsPlan(
            EqualiserPlan(tuple(equaliser["frequencies_hz"]), tuple(equaliser["gains_db"]))
            if equaliser
            else None,
            _read(CompressionPlan, fields.get("compression")),
            _read(NoisePlan, fields.get("noise")),
            _read(BandLimitsPlan, fields.get("band_limits")),
            _read(CodecPlan, fields.get("codec")),
        )


def _read(kind: type[_Plan], fields: dict[str, Any] | None) -> _Plan | None:
    return None if fields is None else kind(**fields)
