"""Instantiation: a recipe and its seed become clips in which every random choice is made.

A `ClipPlan` is all that rendering needs; it is saved with the data set (`clips.jsonl`) and renders again to
the same bytes. Each clip draws from its own generator, seeded by (recipe seed, clip index), so clip 17 is the
same whether one clip or ten thousand are made, on one process or many.

Times are multiples of one MIDI tick (1/960 s), so that the MIDI file and the rendering agree exactly.
After Salamon et al., *Scaper: a library for soundscape synthesis and augmentation* (WASPAA 2017).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ml.instruments import Instrument
from ml.synthesis.recipe import Recipe

TICKS_PER_SECOND = 960
MIN_SOUNDING_S = 0.15  # a stem whose only note starts later than this before the end would be inaudible

Split = Literal["train", "validation"]


@dataclass(frozen=True)
class Note:
    """One note: start and duration in seconds (multiples of 1/960 s), MIDI pitch, MIDI velocity 1-127."""

    start_s: float
    duration_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class StemPlan:
    """One instrument's part: what is played, by which program of which SoundFont, and at which gain."""

    instrument: str
    program: int
    soundfont: str
    gain_db: float
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class ClipPlan:
    """One clip with every choice made."""

    clip_id: str
    split: Split
    duration_s: float
    reverb: bool
    chorus: bool
    stems: tuple[StemPlan, ...]

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
        stems = tuple(
            StemPlan(**{**stem, "notes": tuple(Note(**note) for note in stem["notes"])})
            for stem in fields["stems"]
        )
        return ClipPlan(**{**fields, "stems": stems})


def instantiate(recipe: Recipe) -> Iterator[ClipPlan]:
    """Make every random choice of a recipe.

    Parameters
    ----------
    recipe : Recipe
        A validated recipe; its `seed` decides everything.

    Yields
    ------
    ClipPlan
        `recipe.n_clips` plans in a fixed order; the split is fixed here, before anything is rendered.
    """
    validation = _validation_indices(recipe)
    for index in range(recipe.n_clips):
        rng = np.random.default_rng([recipe.seed, index])
        yield _draw_clip(recipe, index, "validation" if index in validation else "train", rng)


def _validation_indices(recipe: Recipe) -> frozenset[int]:
    n_validation = round(recipe.n_clips * recipe.validation_share)
    order = np.random.default_rng([recipe.seed, recipe.n_clips, 0x5B117]).permutation(recipe.n_clips)
    return frozenset(int(index) for index in order[:n_validation])


def _draw_clip(recipe: Recipe, index: int, split: Split, rng: np.random.Generator) -> ClipPlan:
    n_instruments = int(rng.choice(recipe.instruments_per_clip))
    chosen = rng.choice(len(recipe.vocabulary), size=n_instruments, replace=False)
    soundfont = str(rng.choice(recipe.soundfonts))
    return ClipPlan(
        clip_id=f"{recipe.name}-{index:07d}",
        split=split,
        duration_s=recipe.clip_duration_s,
        reverb=bool(rng.random() < recipe.reverb_probability),
        chorus=bool(rng.random() < recipe.chorus_probability),
        stems=tuple(_draw_stem(recipe, recipe.vocabulary[which], soundfont, rng) for which in chosen),
    )


def _draw_stem(recipe: Recipe, instrument: Instrument, soundfont: str, rng: np.random.Generator) -> StemPlan:
    return StemPlan(
        instrument=instrument.name,
        program=instrument.program,
        soundfont=soundfont,
        gain_db=round(float(rng.uniform(*recipe.level_db)), 3),
        notes=_draw_melody(recipe, instrument, rng),
    )


def _draw_melody(recipe: Recipe, instrument: Instrument, rng: np.random.Generator) -> tuple[Note, ...]:
    """Random notes one after another until the clip is full; at least one note always sounds."""
    melody = recipe.melody
    lowest_pitch, highest_pitch = melody.pitches_of(instrument)
    notes: list[Note] = []
    time_s = _on_tick(rng.uniform(*melody.rest_duration_s))
    while not notes or time_s < recipe.clip_duration_s - MIN_SOUNDING_S:
        start_s = min(time_s, _on_tick(recipe.clip_duration_s / 2)) if not notes else time_s
        duration_s = _on_tick(rng.uniform(*melody.note_duration_s))
        notes.append(
            Note(
                start_s=start_s,
                duration_s=duration_s,
                pitch=int(rng.integers(lowest_pitch, highest_pitch, endpoint=True)),
                velocity=int(rng.integers(*melody.velocity, endpoint=True)),
            )
        )
        time_s = _on_tick(start_s + duration_s + rng.uniform(*melody.rest_duration_s))
    return tuple(notes)


def _on_tick(time_s: float) -> float:
    return round(time_s * TICKS_PER_SECOND) / TICKS_PER_SECOND
