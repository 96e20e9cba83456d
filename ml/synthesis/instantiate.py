"""Instantiation: a recipe and its seed become clips in which every random choice is made.

Each clip draws from its own generators, seeded by (recipe seed, clip index), so clip 17 is the same whether
one clip or ten thousand are made, on one process or many. What the first recipes knew is drawn from the
clip's base generator, in an order that never changes; every later feature has a generator of its own,
(recipe seed, clip index, feature), so that using one changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from ml.errors import within
from ml.instruments import Instrument
from ml.synthesis.articulation import articulate
from ml.synthesis.bank_choice import BankChoice, banks_of, draw_bank, plain_names
from ml.synthesis.combinations import UniformCombinations, draw_count, draw_instruments
from ml.synthesis.controllers import ControllerGenerators, draw_controllers
from ml.synthesis.effects.draw import draw_effects
from ml.synthesis.effects.plans import EffectsPlan
from ml.synthesis.melodies.registry import open_source
from ml.synthesis.melodies.source import MelodySource, Occasion, OnFile, nobody_watches
from ml.synthesis.plan import SPLITS, TICKS_PER_SECOND, ClipPlan, Note, Split, StemPlan
from ml.synthesis.recipe import Recipe

__all__ = ["TICKS_PER_SECOND", "ClipPlan", "Note", "Split", "StemPlan", "instantiate", "validation_indices"]

_SPLIT_STREAM = 0x5B117


class _Feature(IntEnum):
    """Numbers of the generators; never renumber. None is 0: numpy's seeding ignores zeros at the end."""

    COMBINATION = 1
    SOUNDFONT = 2
    MELODY_CHOICE = 3
    MELODY = 4
    ARTICULATION = 5
    VIBRATO = 6
    EXPRESSION = 7
    SCOOP = 8
    BEND_VIBRATO = 9
    EFFECTS = 10


@dataclass(frozen=True)
class _Ingredients:
    """What all clips of a recipe share."""

    recipe: Recipe
    vocabulary: tuple[Instrument, ...]
    sources: tuple[MelodySource, ...]
    banks: dict[Split, tuple[BankChoice, ...]]
    plain_banks: tuple[str, ...] | None

    def generator(self, index: int, feature: _Feature, part: int | None = None) -> np.random.Generator:
        """The generator of a feature of a clip, or of one part of it: a stem, an effect."""
        place = () if part is None else (part + 1,)
        return np.random.default_rng([self.recipe.seed, index, feature, *place])


def instantiate(
    recipe: Recipe, indices: Iterable[int] | None = None, on_file: OnFile = nobody_watches
) -> Iterator[ClipPlan]:
    """Make every random choice of a recipe.

    Parameters
    ----------
    recipe : Recipe
        A validated recipe; its `seed` decides everything.
    indices : iterable of int, optional
        Which clips, 0 to `recipe.n_clips - 1`; by default all. A clip is the same whichever others are made.
    on_file : callable, optional
        Called with (files read, files in all) after every file that a melody's source reads, which it does
        before the first clip; may raise to stop.

    Yields
    ------
    ClipPlan
        Plans in the order asked for; the split is fixed here, before anything is rendered.

    Raises
    ------
    MelodySourceError, MissingCorpusError
        When a melody's source has nothing to give.
    """
    validation = validation_indices(recipe)
    ingredients = _Ingredients(
        recipe,
        recipe.vocabulary,
        _open_sources(recipe, on_file),
        {split: banks_of(recipe.soundfonts, split) for split in SPLITS},
        plain_names(recipe.soundfonts) if recipe.soundfont_per == "clip" else None,
    )
    for index in range(recipe.n_clips) if indices is None else indices:
        yield _draw_clip(ingredients, index, "validation" if index in validation else "train")


def _open_sources(recipe: Recipe, on_file: OnFile) -> tuple[MelodySource, ...]:
    sources = []
    for place, melody in enumerate(recipe.melodies):
        with within(recipe.melody_field(place)):
            sources.append(open_source(melody, on_file))
    return tuple(sources)


def validation_indices(recipe: Recipe) -> frozenset[int]:
    """Which clips validate.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    frozenset of int
        `n_clips * validation_share` of them, rounded, drawn with the recipe's seed.
    """
    order = np.random.default_rng([recipe.seed, recipe.n_clips, _SPLIT_STREAM]).permutation(recipe.n_clips)
    return frozenset(order[: recipe.n_validation_clips].tolist())


def _draw_clip(ingredients: _Ingredients, index: int, split: Split) -> ClipPlan:
    recipe, rng = ingredients.recipe, np.random.default_rng([ingredients.recipe.seed, index])
    players = [ingredients.vocabulary[which] for which in _draw_players(ingredients, index, rng)]
    if ingredients.plain_banks is not None:
        soundfonts = [str(rng.choice(ingredients.plain_banks))] * len(players)
    else:
        soundfonts = _draw_soundfonts(ingredients, index, split, players)
    reverb = bool(rng.random() < recipe.reverb_probability)
    chorus = bool(rng.random() < recipe.chorus_probability)
    melody = _draw_melody_source(ingredients, index)
    stems = []
    for stem, (player, soundfont) in enumerate(zip(players, soundfonts, strict=True)):
        gain_db = round(float(rng.uniform(*recipe.level_db)), 3)
        own = ingredients.generator(index, _Feature.MELODY, stem)
        melodic = melody.draw(Occasion(recipe.seed, index, recipe.clip_duration_s, player, rng, own))
        part = StemPlan(
            instrument=player.name,
            program=player.program,
            soundfont=soundfont,
            gain_db=gain_db,
            notes=melodic.notes,
            bank=player.bank,
            melody_sha256=melodic.sha256,
        )
        stems.append(_played(ingredients, index, stem, part))
    return ClipPlan(
        clip_id=f"{recipe.name}-{index:07d}",
        split=split,
        duration_s=recipe.clip_duration_s,
        reverb=reverb,
        chorus=chorus,
        stems=tuple(stems),
        effects=_draw_clip_effects(ingredients, index),
    )


def _played(ingredients: _Ingredients, index: int, stem: int, part: StemPlan) -> StemPlan:
    """A stem as it is played: articulated, with controllers."""
    recipe = ingredients.recipe
    if recipe.articulation is not None:
        own = ingredients.generator(index, _Feature.ARTICULATION, stem)
        part = replace(part, notes=articulate(recipe.articulation, part.notes, own))
    if recipe.controllers is not None:
        features = (_Feature.VIBRATO, _Feature.EXPRESSION, _Feature.SCOOP, _Feature.BEND_VIBRATO)
        rngs = ControllerGenerators(*(ingredients.generator(index, each, stem) for each in features))
        curves = draw_controllers(recipe.controllers, part.notes, recipe.clip_duration_s, rngs)
        part = replace(part, controllers=curves)
    return part


def _draw_clip_effects(ingredients: _Ingredients, index: int) -> EffectsPlan | None:
    if ingredients.recipe.effects is None:
        return None
    return draw_effects(
        ingredients.recipe.effects, lambda effect: ingredients.generator(index, _Feature.EFFECTS, effect)
    )


def _draw_players(ingredients: _Ingredients, index: int, rng: np.random.Generator) -> list[int]:
    """Places of a clip's instruments in the vocabulary."""
    recipe, vocabulary = ingredients.recipe, ingredients.vocabulary
    if isinstance(recipe.combinations, UniformCombinations) and isinstance(
        recipe.instruments_per_clip, tuple
    ):
        own = rng
    else:
        own = ingredients.generator(index, _Feature.COMBINATION)
    n_instruments = draw_count(recipe.instruments_per_clip, own)
    return draw_instruments(recipe.combinations, vocabulary, n_instruments, own)


def _draw_soundfonts(
    ingredients: _Ingredients, index: int, split: Split, players: list[Instrument]
) -> list[str]:
    rng, banks = ingredients.generator(index, _Feature.SOUNDFONT), ingredients.banks[split]
    if ingredients.recipe.soundfont_per == "clip":
        return [draw_bank(banks, [player.name for player in players], rng)] * len(players)
    return [draw_bank(banks, [player.name], rng) for player in players]


def _draw_melody_source(ingredients: _Ingredients, index: int) -> MelodySource:
    sources = ingredients.sources
    if len(sources) == 1:
        return sources[0]
    weights = np.array([melody.weight for melody in ingredients.recipe.melodies])
    rng = ingredients.generator(index, _Feature.MELODY_CHOICE)
    return sources[int(rng.choice(len(sources), p=weights / weights.sum()))]
