"""Plans: a clip in which every choice is made, as it is saved with a data set and rendered.

Times are in seconds, multiples of one MIDI tick (1/960 s), so that the MIDI file and the rendering agree
exactly. After Salamon et al., *Scaper: a library for soundscape synthesis and augmentation* (WASPAA 2017).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ml.synthesis.effects.plans import EffectsPlan

TICKS_PER_SECOND = 960
MIN_SOUNDING_S = 0.15  # a stem whose only note starts later than this before the end would be inaudible

Control = Literal["modulation", "expression", "pitch_bend"]
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class Note:
    """One note: start and duration in seconds (multiples of 1/960 s), MIDI pitch, MIDI velocity 1-127."""

    start_s: float
    duration_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class ControllerCurve:
    """What a controller does: from each time (seconds, rising) on it has that value.

    `modulation` and `expression` are MIDI controllers 1 and 11, 0-127; `pitch_bend` reaches from -8192 to
    8191, which is two semitones either way.
    """

    control: Control
    times_s: tuple[float, ...]
    values: tuple[int, ...]


@dataclass(frozen=True)
class StemPlan:
    """One instrument's part: what is played, by which preset (bank:program) of which SoundFont, how loud.

    `melody_sha256` is the hash of the MIDI file that the notes were taken from; empty where they are random.
    """

    instrument: str
    program: int
    soundfont: str
    gain_db: float
    notes: tuple[Note, ...]
    bank: int = 0
    controllers: tuple[ControllerCurve, ...] = ()
    melody_sha256: str = ""


@dataclass(frozen=True)
class ClipPlan:
    """One clip with every choice made."""

    clip_id: str
    split: Split
    duration_s: float
    reverb: bool
    chorus: bool
    stems: tuple[StemPlan, ...]
    effects: EffectsPlan | None = None

    @property
    def labels(self) -> frozenset[str]:
        """Names of the instruments that play."""
        return frozenset(stem.instrument for stem in self.stems)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(line: str) -> ClipPlan:
        """Read a plan back from `to_json`'s line."""
        fields: dict[str, Any] = json.loads(line)
        effects = fields.pop("effects", None)
        stems = tuple(_read_stem(stem) for stem in fields.pop("stems"))
        return ClipPlan(
            **fields, stems=stems, effects=None if effects is None else EffectsPlan.from_fields(effects)
        )


def _read_stem(fields: dict[str, Any]) -> StemPlan:
    notes = tuple(Note(**note) for note in fields.pop("notes"))
    curves = tuple(
        ControllerCurve(curve["control"], tuple(curve["times_s"]), tuple(curve["values"]))
        for curve in fields.pop("controllers", ())
    )
    return StemPlan(**fields, notes=notes, controllers=curves)


def on_tick(time_s: float) -> float:
    """The nearest multiple of a MIDI tick."""
    return round(time_s * TICKS_PER_SECOND) / TICKS_PER_SECOND
