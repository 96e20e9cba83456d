"""Articulation: which share of a note's written time sounds, from staccato to legato.

Drawn once per stem. A share below 1 shortens every note, one above lets it overlap the next; a note never
sounds into the next note of its own pitch, which would be cut by the first one's end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from ml.synthesis.plan import Note, on_tick
from ml.synthesis.sections import Probability, RangePositive, Section

if TYPE_CHECKING:
    import numpy as np

SHARE_LIMITS = (0.05, 2.0)
_SHORTEST_S = 0.02


def _within_limits(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < SHARE_LIMITS[0] or value[1] > SHARE_LIMITS[1]:
        raise ValueError(f"[{value[0]}, {value[1]}] is outside {SHARE_LIMITS[0]} to {SHARE_LIMITS[1]}")
    return value


class Articulation(Section):
    """Share of stems that are articulated, and which share of a note's time then sounds."""

    probability: Probability = 1.0
    sounding: Annotated[RangePositive, AfterValidator(_within_limits)] = (0.3, 1.1)


def articulate(settings: Articulation, notes: tuple[Note, ...], rng: np.random.Generator) -> tuple[Note, ...]:
    """Shorten or lengthen a stem's notes.

    Parameters
    ----------
    settings : Articulation
    notes : tuple of Note
        By start.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of Note
        The same starts, pitches and velocities.
    """
    is_articulated, share = rng.random() < settings.probability, float(rng.uniform(*settings.sounding))
    if not is_articulated:
        return notes
    next_start_s: dict[int, float] = {}
    articulated = []
    for note in reversed(notes):
        longest_s = next_start_s.get(note.pitch, math.inf) - note.start_s
        duration_s = max(on_tick(note.duration_s * share), min(note.duration_s, on_tick(_SHORTEST_S)))
        articulated.append(
            Note(note.start_s, float(min(duration_s, max(longest_s, 0.0))), note.pitch, note.velocity)
        )
        next_start_s[note.pitch] = note.start_s
    return tuple(reversed(articulated))
