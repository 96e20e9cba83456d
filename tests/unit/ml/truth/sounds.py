"""Sounds for tests of truth, at the front end's rate."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from ml.melspec import MelConfig
from ml.recording import Recording
from ml.truth.stems import Stem

MEL = MelConfig()
RATE = MEL.sample_rate_hz
LENGTH_S = 1.5


def recording(samples: NDArray[np.floating]) -> Recording:
    return Recording(samples.astype(np.float32), RATE)


def noise(level: float, seed: int = 0, length_s: float = LENGTH_S) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.0, level, round(length_s * RATE))


def burst(instrument: str, start_s: float, end_s: float, level: float) -> Stem:
    """Noise of its own from one time to another, silence elsewhere."""
    samples = noise(level, zlib.crc32(instrument.encode()))
    samples[: round(start_s * RATE)] = 0.0
    samples[round(end_s * RATE) :] = 0.0
    return Stem(instrument, recording(samples))


def silent(instrument: str) -> Stem:
    return Stem(instrument, recording(np.zeros(round(LENGTH_S * RATE))))
