"""Augmentation: changes to parts and mixes, so that a network learns instruments and not SoundFonts.

Tensors are levels in dB or powers on the mel grid, `(n_parts or n_examples, n_mels, n_frames)`; `owner` says
which example each part belongs to. What changes a mix's gain in time or frequency is done to its parts alike,
so they stay the parts of the mix; noise is added to the mix alone and belongs to nobody.

* Each part: frequencies scaled by a few per cent (another body, another tuning), a smooth random equaliser
  (another make, another microphone), a slow drift of gain.
* Each example: exponential reverberation, an equaliser, band limits, coloured noise, silence from some moment
  on; then some bands, stretches and patches are hidden (Park et al., *SpecAugment*, Interspeech 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor
from torch.nn import functional

from ml.melspec import MelConfig

HIDDEN_PATCH = 8  # cells in both directions
MOST_SCATTERED = 0.25  # of all patches
_HIDDEN_DB = -100.0
_NEPER_OF_POWER_PER_DB = math.log(10.0) / 10.0


@dataclass(frozen=True)
class Augmentation:
    """How strongly examples are changed; all choices are drawn evenly or normally around none.

    Attributes
    ----------
    mel : MelConfig
        The grid.
    frequency_scale : float
        Frequencies of a part are scaled by up to this share, up or down.
    part_equalizer_db, mix_equalizer_db : float
        Standard deviation of the equalisers' knots.
    drift_db : float
        Standard deviation of the slow gain's knots.
    """

    mel: MelConfig
    frequency_scale: float = 0.06
    part_equalizer_db: float = 5.0
    mix_equalizer_db: float = 3.0
    drift_db: float = 2.0
    reverb_probability: float = 0.3
    band_limit_probability: float = 0.25
    noise_probability: float = 0.6
    silent_tail_probability: float = 0.12
    hide_probability: float = 0.4


def power_of(levels_db: Tensor) -> Tensor:
    """Levels in dB as power."""
    return torch.exp(levels_db * _NEPER_OF_POWER_PER_DB)


def change_parts(levels_db: Tensor, strength: Augmentation, rng: np.random.Generator) -> Tensor:
    """Change each part by itself: frequency scale, equaliser, drift of gain.

    Parameters
    ----------
    levels_db : Tensor, shape (n_parts, n_mels, n_frames)
    strength : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    Tensor, shape (n_parts, n_mels, n_frames)
        In dB.
    """
    n_parts, n_mels, n_frames = levels_db.shape
    scales = np.exp(rng.uniform(-strength.frequency_scale, strength.frequency_scale, n_parts))
    changed = _scale_frequencies(levels_db, scales, strength.mel)
    changed += _smooth_db(rng, n_parts, int(rng.integers(3, 9)), strength.part_equalizer_db, n_mels)[
        :, :, None
    ]
    changed += _smooth_db(rng, n_parts, 5, strength.drift_db, n_frames)[:, None, :]
    return changed


def reverberate(power: Tensor, owner: Tensor, strength: Augmentation, rng: np.random.Generator) -> Tensor:
    """Put some examples into a room: every band decays exponentially (Polack's model of late reverberation).

    Parameters
    ----------
    power : Tensor, shape (n_parts, n_mels, n_frames)
        Changed in place.
    owner : Tensor of int64, shape (n_parts,)
        The example of each part; parts of one example share its room.
    strength : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    Tensor, shape (n_parts, n_mels, n_frames)
        ``P(t) + wet * sum_k>0 d^k P(t - k)``.
    """
    for example in range(int(owner.max()) + 1):
        if rng.random() >= strength.reverb_probability:
            continue
        decay_s = rng.uniform(0.3, 2.0)  # until the tail has fallen by 60 dB
        decay = 10.0 ** (-6.0 * strength.mel.hop_samples / strength.mel.sample_rate_hz / decay_s)
        wet = 10.0 ** (rng.uniform(-25.0, -6.0) / 10.0)
        inside = owner == example
        coefficients = np.array([1.0, (wet - 1.0) * decay], dtype=np.float32)
        recursion = np.array([1.0, -decay], dtype=np.float32)
        power[inside] = torch.from_numpy(lfilter(coefficients, recursion, power[inside].numpy(), axis=2))
    return power


def change_mixes(
    mix: Tensor, power: Tensor, owner: Tensor, strength: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Change whole examples, their parts alike.

    Parameters
    ----------
    mix : Tensor, shape (n_examples, n_mels, n_frames)
    power : Tensor, shape (n_parts, n_mels, n_frames)
        Both are changed in place.
    owner : Tensor of int64, shape (n_parts,)
    strength : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    mix, power : Tensor
        The mix holds noise as well.
    """
    n_examples, n_mels, n_frames = mix.shape
    gain_db = _smooth_db(rng, n_examples, 4, strength.mix_equalizer_db, n_mels)
    gain_db += _band_limits_db(rng, n_examples, n_mels, strength.band_limit_probability)
    gain = power_of(gain_db)[:, :, None]
    mix *= gain
    power *= gain[owner]
    for example in np.flatnonzero(rng.random(n_examples) < strength.silent_tail_probability).tolist():
        end = int(rng.integers(n_frames // 3, n_frames))
        mix[example, :, end:] = 0.0
        power[owner == example, :, end:] = 0.0
    level_db = np.where(
        rng.random(n_examples) < strength.noise_probability, rng.uniform(-75.0, -28.0, n_examples), -150.0
    )
    colour_db = _smooth_db(rng, n_examples, 3, 8.0, n_mels)
    colour_db += torch.from_numpy(level_db.astype(np.float32))[:, None] - colour_db.amax(1, keepdim=True)
    noise = mix.amax(dim=(1, 2))[:, None] * power_of(colour_db)
    # the power of one band of noise is distributed exponentially
    flicker = torch.from_numpy(rng.standard_exponential(mix.shape, dtype=np.float32))
    return flicker.mul_(noise[:, :, None]).add_(mix), power


def hide(levels_db: Tensor, strength: Augmentation, rng: np.random.Generator) -> Tensor:
    """Hide some bands, some stretches of time and some scattered patches.

    Patches make holes like those that tests of faithfulness cut: an explanation can only be tested by
    deletion where the network knows holes (Hooker et al., *A benchmark for interpretability methods*,
    NeurIPS 2019).

    Parameters
    ----------
    levels_db : Tensor, shape (n_examples, n_mels, n_frames)
    strength : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    Tensor, shape (n_examples, n_mels, n_frames)
    """
    hidden = levels_db.clone()
    _, n_mels, n_frames = levels_db.shape
    for example in hidden:
        for _ in range(2):
            if rng.random() < strength.hide_probability:
                width = int(rng.integers(2, 14))
                first = int(rng.integers(0, n_mels - width))
                example[first : first + width] = _HIDDEN_DB
        if rng.random() < strength.hide_probability:
            width = int(rng.integers(4, max(5, min(40, n_frames // 2))))
            first = int(rng.integers(0, n_frames - width))
            example[:, first : first + width] = _HIDDEN_DB
        if rng.random() < strength.hide_probability:
            example[scattered_patches(n_mels, n_frames, rng)] = _HIDDEN_DB
    return hidden


def scattered_patches(n_mels: int, n_frames: int, rng: np.random.Generator) -> Tensor:
    """Draw patches, as many as drawn from none to `MOST_SCATTERED` of all.

    Parameters
    ----------
    n_mels, n_frames : int
    rng : numpy.random.Generator

    Returns
    -------
    Tensor of bool, shape (n_mels, n_frames)
        The cells that lie in them.
    """
    rows, columns = -(-n_mels // HIDDEN_PATCH), -(-n_frames // HIDDEN_PATCH)
    patches = rng.random((rows, columns)) < rng.uniform(0.0, MOST_SCATTERED)
    cells = np.kron(patches, np.ones((HIDDEN_PATCH, HIDDEN_PATCH), dtype=bool))
    return torch.from_numpy(cells[:n_mels, :n_frames])


def _scale_frequencies(levels_db: Tensor, scales: NDArray[np.float64], mel: MelConfig) -> Tensor:
    """Move what sounds at f to f * scale, by interpolation between the levels of bands."""
    centres_hz = mel.frequencies_hz.astype(np.float64)
    bands = np.arange(len(centres_hz))
    sources = np.interp(centres_hz[None, :] / scales[:, None], centres_hz, bands).astype(np.float32)
    position = torch.from_numpy(sources)
    lower = position.floor().long().clamp(0, len(bands) - 2)
    rows = levels_db.flatten(0, 1)  # to copy bands whole, which is many times faster than cell by cell
    below = (lower + torch.arange(len(scales))[:, None] * len(bands)).flatten()
    between = torch.lerp(
        rows.index_select(0, below), rows.index_select(0, below + 1), (position - lower).flatten()[:, None]
    )
    return between.view(levels_db.shape)


def _smooth_db(rng: np.random.Generator, n: int, n_knots: int, deviation_db: float, length: int) -> Tensor:
    """Random curves `(n, length)` through evenly spaced knots."""
    knots = torch.from_numpy(rng.normal(0.0, deviation_db, (n, 1, n_knots)).astype(np.float32))
    return functional.interpolate(knots, size=length, mode="linear", align_corners=True)[:, 0]


def _band_limits_db(rng: np.random.Generator, n: int, n_mels: int, probability: float) -> Tensor:
    """Slopes of 3 dB per band above and below drawn edges: telephones, old records, small speakers."""
    bands = np.arange(n_mels)[None, :]
    upper = np.where(rng.random(n) < probability, rng.uniform(0.66 * n_mels, n_mels, n), 2.0 * n_mels)
    lower = np.where(rng.random(n) < probability, rng.uniform(0.0, 0.11 * n_mels, n), -n_mels)
    beyond = np.maximum(bands - upper[:, None], 0.0) + np.maximum(lower[:, None] - bands, 0.0)
    return torch.from_numpy((-3.0 * beyond).astype(np.float32))
