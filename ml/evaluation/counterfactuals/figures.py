"""Figures of a stem by which it shows whether a change came about; NaN where one cannot be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.counterfactuals.harmonics import brightness_hz, even_share
from ml.evaluation.counterfactuals.onsets import onset_level_db
from ml.evaluation.counterfactuals.pitch import onset_cents, wavering_cents
from ml.synthesis.plan import Note


@dataclass(frozen=True)
class Figure:
    """One figure: from `(sound of one voice, its notes)` to a number.

    Attributes
    ----------
    of : callable
    words : str
        What it is, with the place for two values: before and after.
    """

    of: Callable[[NDArray[np.floating], Sequence[Note]], float]
    words: str


FIGURES: Mapping[str, Figure] = {
    "wavering": Figure(wavering_cents, "pitch wavers by {:.0f} → {:.0f} cents"),
    "onset pitch": Figure(onset_cents, "pitch begins at {:+.0f} → {:+.0f} cents"),
    "onset level": Figure(onset_level_db, "first 50 ms at {:+.0f} → {:+.0f} dB"),
    "brightness": Figure(lambda sound, notes: brightness_hz(sound), "centroid {:.0f} → {:.0f} Hz"),
    "even share": Figure(even_share, "even harmonics {:.2f} → {:.2f} of the overtones' power"),
}
