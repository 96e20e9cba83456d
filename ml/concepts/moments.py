"""What is played at a moment, read from a clip's plan: the vocabulary in which concepts are named.

A moment is a time in a clip and an instrument of it. The note that counts is the instrument's latest one that
began at most `ONSET_S` after the moment; a moment that lies longer than `RELEASE_S` after that note's end, or
before all notes, has no traits: the instrument does not sound there.

=============  ===========================================================================================
`instrument`   its name
`family`       the group of instruments that are easily mistaken for one another, such as ``plucked``
`phase`        ``onset`` within 80 ms of the note's start, ``sustain`` up to its end, then ``release``
`register`     ``low``, ``middle`` or ``high`` third of the instrument's natural range
`octave`       such as ``C4-B4`` (MIDI 60-71)
`pitch class`  such as ``F#``
`velocity`     ``soft`` below 64, ``loud`` from 96, ``medium`` between
`vibrato`      ``vibrato`` or ``straight``: whether the modulation controller is up for this note
=============  ===========================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ml.instruments import Instrument
from ml.synthesis.plan import ClipPlan, Note, StemPlan

ONSET_S = 0.08
RELEASE_S = 0.3
GRID_S = 0.05  # between two moments of the same stem that are counted for the base rates
_SOFT_BELOW, _LOUD_FROM = 64, 96
_PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_EDGE_S = 1e-6  # times are multiples of 1/960 s and 512/44100 s: a tie is a matter of rounding

Kind = Literal["instrument", "family", "phase", "register", "octave", "pitch class", "velocity", "vibrato"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Traits = Mapping[Kind, str]  # a value of every kind


@dataclass(frozen=True)
class Moment:
    """A time in a clip (seconds from its beginning), and the instrument that is meant."""

    clip: int
    time_s: float
    instrument: str


def traits_at(stem: StemPlan, time_s: float, instrument: Instrument) -> Traits | None:
    """What a stem plays at a time.

    Parameters
    ----------
    stem : StemPlan
    time_s : float
    instrument : Instrument
        Who plays it.

    Returns
    -------
    mapping of kind to value, or None
        None where it does not sound.
    """
    begun = [note for note in stem.notes if note.start_s <= time_s + ONSET_S + _EDGE_S]
    if not begun:
        return None
    note = max(begun, key=lambda each: (each.start_s, each.pitch))
    if time_s > note.start_s + note.duration_s + RELEASE_S + _EDGE_S:
        return None
    return {
        "instrument": stem.instrument,
        "family": instrument.family or stem.instrument,
        "phase": _phase(note, time_s),
        "register": _register(note.pitch, instrument),
        "octave": f"C{note.pitch // 12 - 1}-B{note.pitch // 12 - 1}",
        "pitch class": _PITCH_CLASSES[note.pitch % 12],
        "velocity": _velocity(note.velocity),
        "vibrato": _vibrato(stem, max(time_s, note.start_s)),  # the wheel before it is its predecessor's
    }


def traits_of(plan: ClipPlan, moment: Moment, players: Mapping[str, Instrument]) -> Traits | None:
    """What a moment's instrument plays in a clip; None where it does not sound.

    Parameters
    ----------
    plan : ClipPlan
    moment : Moment
    players : mapping of str to Instrument
        By name.
    """
    for stem in plan.stems:
        if stem.instrument == moment.instrument:
            return traits_at(stem, moment.time_s, players[stem.instrument])
    return None


def base_counts(plans: Iterable[ClipPlan], players: Mapping[str, Instrument]) -> Counter[tuple[str, ...]]:
    """How often each combination of traits occurs in clips at moments that nothing has chosen.

    Parameters
    ----------
    plans : iterable of ClipPlan
    players : mapping of str to Instrument

    Returns
    -------
    Counter
        Of values in the order of `KINDS`, over every `GRID_S` of every stem where it sounds.
    """
    return Counter(
        tuple(traits[kind] for kind in KINDS) for plan in plans for traits in _all_traits(plan, players)
    )


def _all_traits(plan: ClipPlan, players: Mapping[str, Instrument]) -> Iterator[Traits]:
    for stem in plan.stems:
        for time_s in np.arange(0.0, plan.duration_s, GRID_S):
            traits = traits_at(stem, float(time_s), players[stem.instrument])
            if traits is not None:
                yield traits


def _phase(note: Note, time_s: float) -> str:
    if abs(time_s - note.start_s) <= ONSET_S + _EDGE_S:
        return "onset"
    return "sustain" if time_s <= note.start_s + note.duration_s + _EDGE_S else "release"


def _register(pitch: int, instrument: Instrument) -> str:
    n_pitches = instrument.highest_pitch - instrument.lowest_pitch + 1
    third = 3 * (pitch - instrument.lowest_pitch) // n_pitches
    return ("low", "middle", "high")[min(max(third, 0), 2)]


def _velocity(velocity: int) -> str:
    if velocity < _SOFT_BELOW:
        return "soft"
    return "loud" if velocity >= _LOUD_FROM else "medium"


def _vibrato(stem: StemPlan, time_s: float) -> str:
    for curve in stem.controllers:
        if curve.control == "modulation":
            reached = np.searchsorted(curve.times_s, time_s + _EDGE_S, side="right")
            return "vibrato" if reached and curve.values[reached - 1] > 0 else "straight"
    return "straight"
