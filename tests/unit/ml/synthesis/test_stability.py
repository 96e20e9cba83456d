"""Draws that never change: a recipe and its seed make the same plans as when its features were new.

The digests are of the plans that the first version to know those features drew. A test that fails here means
that data sets can no longer be made again; there is nothing to regenerate.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

from ml.synthesis.instantiate import instantiate
from ml.synthesis.plan import ClipPlan
from ml.synthesis.recipe import parse_recipe

N_CLIPS = 400
SHAPED = """
name: shaped
seed: 5
n_clips: 60
instruments_per_clip: {1: 2, 3: 1}
combinations: {draw: families, probability: 0.5}
melody:
  - {weight: 0.3, velocity: [70, 127]}
  - {weight: 0.7, pitch_range: natural, register_width: [7, 24], voices: [2, 4], chord_probability: 0.5,
     sounding_share: [0.4, 1.0], partial_probability: 0.4}
soundfont_per: stem
soundfonts: [FluidR3_GM, {name: TimGM6mb, without: [Violin], weight: 2}]
"""
EVERYTHING = """
articulation: {probability: 0.5, sounding: [0.3, 1.1]}
controllers: {vibrato: {}, expression: {}, scoop: {}, bend_vibrato: {}}
effects: {equaliser: {}, compression: {}, noise: {}, band_limits: {}, codec: {}}
"""


def digest(plans: Iterable[ClipPlan]) -> str:
    found = hashlib.sha256()
    for plan in plans:
        stems = [
            (
                stem.instrument,
                stem.program,
                stem.soundfont,
                stem.gain_db,
                [(note.start_s, note.duration_s, note.pitch, note.velocity) for note in stem.notes],
            )
            for stem in plan.stems
        ]
        clip = (plan.clip_id, plan.split, plan.duration_s, plan.reverb, plan.chorus, stems)
        found.update(repr(clip).encode())
    return found.hexdigest()


@pytest.mark.parametrize(
    ("name", "pitch_range", "expected"),
    [
        ("protocol", "[60, 72]", "d37b33c89671220ca464bbb4de6ba18caaa5face356a960d5332a54f5226e680"),
        (
            "protocol-natural-pitch",
            "natural",
            "fdd64ae2f8efe2019e62ea5432222849d3d29b9ae42c7b97d54c6014999e5e5e",
        ),
    ],
)
def test_the_first_recipes_draw_what_they_always_drew(name: str, pitch_range: str, expected: str) -> None:
    text = Path("recipes/protocol.yaml").read_text(encoding="utf-8")
    text = text.replace("name: protocol\n", f"name: {name}\n").replace("[60, 72]", pitch_range)
    assert digest(itertools.islice(instantiate(parse_recipe(text)), N_CLIPS)) == expected


def test_registers_chords_families_and_banks_draw_what_they_always_drew() -> None:
    expected = "59a14007af8bf6e94458e0b823b428542825159b438df779515d72213f4b2ec7"
    assert digest(instantiate(parse_recipe(SHAPED))) == expected


def test_later_features_change_nothing_else() -> None:
    plain = list(instantiate(parse_recipe(SHAPED)))
    full = list(
        instantiate(parse_recipe(SHAPED + EVERYTHING.replace("sounding: [0.3, 1.1]", "sounding: [1, 1]")))
    )
    assert digest(full) == digest(plain)
    assert any(stem.controllers for plan in full for stem in plan.stems)
    assert any(plan.effects is not None for plan in full)


def test_controllers_and_effects_draw_what_they_always_drew() -> None:
    lines = "".join(plan.to_json() for plan in instantiate(parse_recipe(SHAPED + EVERYTHING)))
    assert (
        hashlib.sha256(lines.encode()).hexdigest()
        == "e612df26a240f754d7901790c2faa97cc127da2deb219e30cb3172f54b9d94d1"
    )
