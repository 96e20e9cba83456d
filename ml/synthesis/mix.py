"""Mixing: a clip plan becomes its stems and their sum.

Stems are rendered separately, scaled by their recorded gains, passed through the clip's effects and scaled
by one common gain that keeps the mix below full scale. What effects make that belongs to no stem is the
residual; the mix is the sum of all: `mix == stems.sum(axis=0) + residual` holds to float32 rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.synthesis.midi_file import stem_messages
from ml.synthesis.plan import ClipPlan
from ml.synthesis.render import SAMPLE_RATE_HZ, RenderOptions, render_events
from ml.synthesis.soundfonts import Bank

PEAK_CEILING = 0.98  # of full scale: leaves 16-bit files room for rounding


@dataclass(frozen=True)
class RenderedClip:
    """Sound of a clip, at `SAMPLE_RATE_HZ`.

    Attributes
    ----------
    plan : ClipPlan
        What was rendered.
    stems : ndarray of float32, shape (n_stems, n_samples)
        In the order of `plan.stems`, gains and effects applied.
    mix : ndarray of float32, shape (n_samples,)
        Sum of the stems and the residual.
    common_gain_db : float
        Gain applied to all stems alike so that the mix does not clip (0 where nothing had to be done).
    residual : ndarray of float32, shape (n_samples,), or None
        What effects made that belongs to no stem (noise, a codec's doing); None where there is none.
    """

    plan: ClipPlan
    stems: NDArray[np.float32]
    mix: NDArray[np.float32]
    common_gain_db: float
    residual: NDArray[np.float32] | None = None


def render_clip(plan: ClipPlan, banks: Mapping[str, Bank]) -> RenderedClip:
    """Render a clip's stems and mix them.

    Parameters
    ----------
    plan : ClipPlan
        The clip.
    banks : mapping of str to Bank
        Every SoundFont that the plan names.

    Returns
    -------
    RenderedClip
        Deterministic: equal plans and banks give equal bytes.

    Raises
    ------
    SystemDependencyError
        When FluidSynth or a SoundFont is missing.
    """
    n_samples = round(plan.duration_s * SAMPLE_RATE_HZ)
    options = RenderOptions(reverb=plan.reverb, chorus=plan.chorus)
    stems = np.empty((len(plan.stems), n_samples), dtype=np.float32)
    for place, stem in enumerate(plan.stems):
        path = banks[stem.soundfont].file_for(stem.program)
        stems[place] = render_events(stem_messages(stem), path, n_samples, options)
        stems[place] *= np.float32(10.0 ** (stem.gain_db / 20.0))
    residual = None
    if plan.effects is not None:
        from ml.synthesis.effects.apply import apply_effects  # scipy.signal takes half a second to import

        stems, residual = apply_effects(plan.effects, stems)
    mix = _sum(stems, residual)
    peak = max(float(mix.max()), -float(mix.min()))
    common_gain = min(1.0, PEAK_CEILING / peak) if peak > 0.0 else 1.0
    if common_gain < 1.0:
        stems *= np.float32(common_gain)
        if residual is not None:
            residual *= np.float32(common_gain)
        mix = _sum(stems, residual)
    return RenderedClip(plan, stems, mix, float(20.0 * np.log10(common_gain)), residual)


def _sum(stems: NDArray[np.float32], residual: NDArray[np.float32] | None) -> NDArray[np.float32]:
    mix: NDArray[np.float32] = stems.sum(axis=0)
    return mix if residual is None else mix + residual
