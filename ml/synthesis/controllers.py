"""Controllers: vibrato, swelling and bending of a stem's notes, as MIDI carries them.

Vibrato is the modulation wheel (controller 1), which a bank's presets turn into their own vibrato; expression
is controller 11. Pitch bend scoops into notes from below and makes a vibrato of its own for voices that have
none; a synthesiser's bend reaches two semitones either way. Curves are sampled every `STEP_S` and hold their
value in between, so what is saved is what plays. A curve may be drawn for any stem whatever its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.synthesis.controller_settings import BendVibrato, Controllers, Expression, Scoop, Vibrato
from ml.synthesis.plan import ControllerCurve, Note, on_tick

STEP_S = 0.02  # four steps of the fastest wave that may be asked for
BEND_REACH_SEMITONES = 2.0
_BEND_STEPS = 8_192
_FULL_EXPRESSION = 127


@dataclass(frozen=True)
class ControllerGenerators:
    """A generator for each controller, so that adding one changes no other."""

    vibrato: np.random.Generator
    expression: np.random.Generator
    scoop: np.random.Generator
    bend_vibrato: np.random.Generator


def draw_controllers(
    settings: Controllers, notes: Sequence[Note], duration_s: float, rngs: ControllerGenerators
) -> tuple[ControllerCurve, ...]:
    """Draw the controller curves of a stem.

    Parameters
    ----------
    settings : Controllers
    notes : sequence of Note
        By start.
    duration_s : float
        Length of the clip.
    rngs : ControllerGenerators

    Returns
    -------
    tuple of ControllerCurve
        At most one of each control; none where nothing was drawn.
    """
    times_s = np.array([on_tick(time_s) for time_s in np.arange(0.0, duration_s, STEP_S)])
    starts_s = np.array(sorted({note.start_s for note in notes}))
    curves = []
    wheel = _draw_vibrato(settings.vibrato, starts_s, duration_s, rngs.vibrato)
    if wheel is not None:
        curves.append(wheel)
    level = _draw_expression(settings.expression, times_s, duration_s, rngs.expression)
    if level is not None:
        curves.append(_curve("expression", times_s, level))
    scoop = _draw_scoop(settings.scoop, starts_s, times_s, rngs.scoop)
    waves = _draw_waves(settings.bend_vibrato, starts_s, times_s, rngs.bend_vibrato)
    if scoop is not None or waves is not None:
        semitones = np.zeros(len(times_s))
        for part in (scoop, waves):
            semitones += part if part is not None else 0.0
        bend = np.clip(semitones / BEND_REACH_SEMITONES * _BEND_STEPS, -_BEND_STEPS, _BEND_STEPS - 1)
        curves.append(_curve("pitch_bend", times_s, bend))
    return tuple(curves)


def _draw_vibrato(
    settings: Vibrato | None, starts_s: NDArray[np.float64], duration_s: float, rng: np.random.Generator
) -> ControllerCurve | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    depth = int(rng.integers(*settings.depth, endpoint=True))
    delay_s = float(rng.uniform(*settings.delay_s))
    times: dict[float, int] = {}
    for start_s, next_s in zip(starts_s, [*starts_s[1:], duration_s], strict=True):
        times[float(start_s)] = 0
        if start_s + delay_s < next_s:
            times[on_tick(float(start_s) + delay_s)] = depth
    return ControllerCurve("modulation", tuple(times), tuple(times.values()))


def _draw_expression(
    settings: Expression | None, times_s: NDArray[np.float64], duration_s: float, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    shape = settings.shapes[int(rng.integers(len(settings.shapes)))]
    lowest = int(rng.integers(*settings.lowest, endpoint=True))
    place = times_s / duration_s
    rise = {"crescendo": place, "diminuendo": 1.0 - place, "swell": 1.0 - np.abs(2.0 * place - 1.0)}[shape]
    return np.asarray(lowest + (_FULL_EXPRESSION - lowest) * rise)


def _draw_scoop(
    settings: Scoop | None,
    starts_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64] | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    depth = float(rng.uniform(*settings.depth_semitones))
    length_s = float(rng.uniform(*settings.duration_s))
    age_s = _ages(starts_s, times_s)
    return -depth * np.clip(1.0 - age_s / length_s, 0.0, 1.0)


def _draw_waves(
    settings: BendVibrato | None,
    starts_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64] | None:
    if settings is None or rng.random() >= settings.probability:
        return None
    rate_hz = float(rng.uniform(*settings.rate_hz))
    depth = float(rng.uniform(*settings.depth_semitones))
    delay_s = float(rng.uniform(*settings.delay_s))
    since_s = np.maximum(_ages(starts_s, times_s) - delay_s, 0.0)
    return depth * np.sin(2.0 * np.pi * rate_hz * since_s)


def _ages(starts_s: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Time since the last note began, shape of `times_s`; before the first note the first is about to begin.

    A note that begins between two steps is bent from the step before it, so that its start is.
    """
    last = np.searchsorted(starts_s, times_s + STEP_S, side="left") - 1
    return np.maximum(times_s - starts_s[np.maximum(last, 0)], 0.0)


def _curve(
    control: Literal["expression", "pitch_bend"], times_s: NDArray[np.float64], values: NDArray[np.float64]
) -> ControllerCurve:
    """Round to MIDI's steps and keep only what changes."""
    steps = np.rint(values).astype(int)
    changes = np.flatnonzero(np.diff(steps, prepend=steps[0] + 1))
    return ControllerCurve(
        control, tuple(times_s[changes].tolist()), tuple(int(step) for step in steps[changes])
    )
