"""Applying effects so that the truth survives them: stems and residual always add up to the mix.

Linear effects (equaliser, band limits) pass every stem through the same filter. Compression computes its gain
from the mix and applies it to every stem alike. What is not linear in the stems, noise and what a codec adds
and takes away, is a part of its own: the *residual*. Sound is float32, stems `(n_stems, n_samples)`,
mix and residual `(n_samples,)`, at `SAMPLE_RATE_HZ`.

Filters are SciPy's. The compressor is the feed-forward one of Giannoulis, Massberg and Reiss, *Digital
dynamic range compressor design* (JAES 60, 2012): hard knee, branching smoother in dB, one level for every
`LEVEL_SAMPLES`. Codecs are libsndfile's.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, firwin2, oaconvolve, sosfilt

from ml.synthesis.effects.plans import (
    BandLimitsPlan,
    CodecPlan,
    CompressionPlan,
    EffectsPlan,
    EqualiserPlan,
    NoisePlan,
)

SAMPLE_RATE_HZ = 44_100
EQUALISER_TAPS = 2_047  # odd: its delay is whole samples, which are taken away
BAND_ORDER = 4
LEVEL_SAMPLES = 64
_FLOOR = 1e-6  # of full scale, -120 dB: below it levels mean nothing
_NOISE_REFERENCE_HZ = 20.0  # below it the noise's spectrum falls no further
_CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS")}

Sound = NDArray[np.float32]


def apply_effects(plan: EffectsPlan, stems: Sound) -> tuple[Sound, Sound | None]:
    """Pass stems through the effects of a clip.

    Parameters
    ----------
    plan : EffectsPlan
    stems : ndarray of float32, shape (n_stems, n_samples)

    Returns
    -------
    stems : ndarray of float32, shape (n_stems, n_samples)
    residual : ndarray of float32, shape (n_samples,), or None
        What the mix has beside its stems; None where nothing made any.
    """
    residual: Sound | None = None
    if plan.equaliser is not None:
        stems = equalise(plan.equaliser, stems)
    if plan.compression is not None:
        stems = stems * compression_gain(plan.compression, stems.sum(axis=0))
    if plan.noise is not None:
        residual = noise_for(plan.noise, stems.sum(axis=0))
    if plan.band_limits is not None:
        stems = limit_band(plan.band_limits, stems)
        residual = None if residual is None else limit_band(plan.band_limits, residual)
    if plan.codec is not None:
        music = stems.sum(axis=0)
        residual = code(plan.codec, music if residual is None else music + residual) - music
    return stems, residual


def equalise(plan: EqualiserPlan, sound: Sound) -> Sound:
    """Filter with a linear-phase FIR whose gains are the plan's; no delay, same shape."""
    frequencies_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, EQUALISER_TAPS // 2 + 2)
    heard_hz = np.clip(frequencies_hz, plan.frequencies_hz[0], plan.frequencies_hz[-1])
    gains_db = np.interp(np.log(heard_hz), np.log(plan.frequencies_hz), plan.gains_db)
    taps = firwin2(EQUALISER_TAPS, frequencies_hz, 10.0 ** (gains_db / 20.0), fs=SAMPLE_RATE_HZ)
    taps = taps.astype(np.float32).reshape((1,) * (sound.ndim - 1) + (-1,))
    return np.asarray(oaconvolve(sound, taps, mode="same", axes=-1), dtype=np.float32)


def limit_band(plan: BandLimitsPlan, sound: Sound) -> Sound:
    """Filter with a Butterworth band-pass; same shape."""
    highest_hz = min(plan.high_hz, 0.499 * SAMPLE_RATE_HZ)
    sections = butter(BAND_ORDER, (plan.low_hz, highest_hz), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sections, sound, axis=-1), dtype=np.float32)


def compression_gain(plan: CompressionPlan, mix: Sound) -> Sound:
    """The gain in every sample, shape (n_samples,), 0 to 1."""
    n_levels = -(-len(mix) // LEVEL_SAMPLES)
    padded = np.zeros(n_levels * LEVEL_SAMPLES, dtype=np.float32)
    padded[: len(mix)] = np.abs(mix)
    peaks = padded.reshape(n_levels, LEVEL_SAMPLES).max(axis=1)
    threshold_db = plan.threshold_db + _decibels(peaks.max())
    wanted_db = np.maximum(_decibels(peaks) - threshold_db, 0.0) * (1.0 - 1.0 / plan.ratio)
    level_s = LEVEL_SAMPLES / SAMPLE_RATE_HZ
    attack, release = float(np.exp(-level_s / plan.attack_s)), float(np.exp(-level_s / plan.release_s))
    smoothed_db, reduction_db = np.empty(n_levels), 0.0
    for place, wanted in enumerate(wanted_db.tolist()):
        keep = attack if wanted > reduction_db else release
        reduction_db = keep * reduction_db + (1.0 - keep) * wanted
        smoothed_db[place] = reduction_db
    centres = (np.arange(n_levels) + 0.5) * LEVEL_SAMPLES
    gain_db = -np.interp(np.arange(len(mix)), centres, smoothed_db)
    return np.asarray(10.0 ** (gain_db / 20.0), dtype=np.float32)


def noise_for(plan: NoisePlan, mix: Sound) -> Sound:
    """Noise at its distance below the mix, shape (n_samples,)."""
    white = np.random.default_rng(plan.seed).standard_normal(len(mix))
    spectrum = np.fft.rfft(white)
    frequencies_hz = np.fft.rfftfreq(len(mix), 1.0 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(frequencies_hz, _NOISE_REFERENCE_HZ) / _NOISE_REFERENCE_HZ)
    spectrum *= 10.0 ** (-plan.fall_db_per_octave * octaves / 20.0)
    noise = np.fft.irfft(spectrum, len(mix))
    wanted = _rms(mix) * 10.0 ** (-plan.below_mix_db / 20.0)
    return np.asarray(noise * (wanted / _rms(noise)), dtype=np.float32)


def code(plan: CodecPlan, mix: Sound) -> Sound:
    """Code and decode, shape (n_samples,); above full scale it is turned down for that."""
    file_format, subtype = _CODECS[plan.format]
    scale = max(float(np.abs(mix).max()), 1.0)
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        mix / np.float32(scale),
        SAMPLE_RATE_HZ,
        format=file_format,
        subtype=subtype,
        compression_level=plan.compression,
    )
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    coded = np.zeros_like(mix)
    n_samples = min(len(mix), len(decoded))
    coded[:n_samples] = decoded[:n_samples] * np.float32(scale)
    return coded


def _rms(sound: NDArray[np.floating]) -> float:
    return max(float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))), _FLOOR)


def _decibels(amplitude: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(20.0 * np.log10(np.maximum(amplitude, _FLOOR)), dtype=np.float64)
