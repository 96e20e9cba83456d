"""Drawing effects: which of a recipe's effects a clip gets, and with which values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml.synthesis.effects.plans import (
    BandLimitsPlan,
    CodecPlan,
    CompressionPlan,
    EffectsPlan,
    EqualiserPlan,
    NoisePlan,
)
from ml.synthesis.effects.settings import BandLimits, Codec, Compression, Effects, Equaliser, Noise

OCTAVES_HZ = (63.0, 125.0, 250.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0)


def draw_effects(settings: Effects, generator: Callable[[int], np.random.Generator]) -> EffectsPlan | None:
    """Draw the effects of a clip.

    Parameters
    ----------
    settings : Effects
    generator : callable
        Gives the generator of the effect of this number (0 equaliser, 1 compression, 2 noise, 3 band limits,
        4 codec), so that adding one changes no other.

    Returns
    -------
    EffectsPlan or None
        None where nothing was drawn.
    """
    plan = EffectsPlan(
        _draw_equaliser(settings.equaliser, generator(0)),
        _draw_compression(settings.compression, generator(1)),
        _draw_noise(settings.noise, generator(2)),
        _draw_band_limits(settings.band_limits, generator(3)),
        _draw_codec(settings.codec, generator(4)),
    )
    return None if plan == EffectsPlan() else plan


def _draw_equaliser(settings: Equaliser | None, rng: np.random.Generator) -> EqualiserPlan | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    return EqualiserPlan(OCTAVES_HZ, tuple(_between(settings.gain_db, rng) for _ in OCTAVES_HZ))


def _draw_compression(settings: Compression | None, rng: np.random.Generator) -> CompressionPlan | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    ranges = (settings.threshold_db, settings.ratio, settings.attack_s, settings.release_s)
    return CompressionPlan(*(_between(limits, rng) for limits in ranges))


def _draw_noise(settings: Noise | None, rng: np.random.Generator) -> NoisePlan | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    seed = int(rng.integers(2**32))
    return NoisePlan(seed, _between(settings.below_mix_db, rng), _between(settings.fall_db_per_octave, rng))


def _draw_band_limits(settings: BandLimits | None, rng: np.random.Generator) -> BandLimitsPlan | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    return BandLimitsPlan(_between(settings.low_hz, rng), _between(settings.high_hz, rng))


def _draw_codec(settings: Codec | None, rng: np.random.Generator) -> CodecPlan | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    file_format = settings.formats[int(rng.integers(len(settings.formats)))]
    return CodecPlan(file_format, _between(settings.compression, rng))


def _between(limits: tuple[float, float], rng: np.random.Generator) -> float:
    return min(max(round(float(rng.uniform(*limits)), 6), limits[0]), limits[1])
