"""Mixing: a clip plan becomes its stems and their sum.

Stems are rendered separately, scaled by their recorded gains and by one common gain that keeps the mix below
full scale; the mix is their sum, so `mix == stems.sum(axis=0)` holds to float32 rounding, for every clip.
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
    """Sound of a clip.

    Attributes
    ----------
    plan : ClipPlan
        What was rendered.
    stems : ndarray of float32, shape (n_stems, n_samples)
        In the order of `plan.stems`, gains applied.
    mix : ndarray of float32, shape (n_samples,)
        Sum of the stems.
    common_gain_db : float
        Gain applied to all stems alike so that the mix does not clip (0 where nothing had to be done).
    """

    plan: ClipPlan
    stems: NDArray[np.float32]
    mix: NDArray[np.float32]
    common_gain_db: float


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
    stems = np.stack(
        [
            render_events(
                stem_messages(stem), banks[stem.soundfont].file_for(stem.program), n_samples, options
            )
            * np.float32(10.0 ** (stem.gain_db / 20.0))
            for stem in plan.stems
        ]
    )
    peak = float(np.abs(stems.sum(axis=0)).max())
    common_gain = min(1.0, PEAK_CEILING / peak) if peak > 0.0 else 1.0
    stems *= np.float32(common_gain)
    return RenderedClip(plan, stems, stems.sum(axis=0), float(20.0 * np.log10(common_gain)))
