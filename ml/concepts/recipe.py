"""The reference set: which clips a model's concepts are looked for in.

Solos and mixtures of the model's instruments in their natural ranges, with all velocities, chords, staccato
and legato, and half of the stems with vibrato; rendered with Debian's bank, `DEFAULT_SOUNDFONT`. No effects:
what is played is all there is, so that what references have in common can be read from the plans.
"""

from __future__ import annotations

from ml.checkpoint import ModelCard
from ml.errors import InvalidRequestError
from ml.instruments import INSTRUMENTS
from ml.synthesis.articulation import Articulation
from ml.synthesis.controller_settings import Controllers, Vibrato
from ml.synthesis.melodies.settings import RandomMelody
from ml.synthesis.recipe import CustomInstrument, Recipe
from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT

DEFAULT_CLIPS = 1_200
DEFAULT_SEED = 20_261_130
_NUMBER_WEIGHTS = {1: 4.0, 2: 3.0, 3: 2.0}  # of instruments in a clip

_SINGLE_NOTES = RandomMelody(
    weight=0.7,
    pitch_range="natural",
    register_width=(4, 12),
    note_duration_s=(0.2, 1.5),
    rest_duration_s=(0.0, 0.4),
    velocity=(20, 127),
)
_CHORDS = _SINGLE_NOTES.model_copy(update={"weight": 0.3, "voices": (2, 3)})
_ARTICULATION = Articulation(probability=0.5, sounding=(0.3, 1.0))
_VIBRATO = Controllers(vibrato=Vibrato(probability=0.5, depth=(80, 127), delay_s=(0.05, 0.2)))


def reference_recipe(card: ModelCard, n_clips: int = DEFAULT_CLIPS, seed: int = DEFAULT_SEED) -> Recipe:
    """The recipe of a model's reference set.

    Parameters
    ----------
    card : ModelCard
        Its labels play: those of the vocabulary, and those that the recipe of its data set defines. Others
        cannot be synthesised and are left out.
    n_clips : int
    seed : int

    Returns
    -------
    Recipe

    Raises
    ------
    InvalidRequestError
        When none of the labels can be synthesised, or a number is out of range.
    """
    known = {instrument.name for instrument in INSTRUMENTS}
    defined = {
        entry["name"]: entry
        for entry in (card.dataset.get("recipe") or {}).get("instruments", ())
        if isinstance(entry, dict)
    }
    players = tuple(
        label if label in known else CustomInstrument.model_validate(defined[label])
        for label in card.labels
        if label in known or label in defined
    )
    if not players:
        raise InvalidRequestError(
            f"None of the labels of model {card.id} can be synthesised: {', '.join(card.labels)}."
        )
    if n_clips < 1 or seed < 0:
        raise InvalidRequestError(f"{n_clips} clips with seed {seed} cannot be made.")
    return Recipe(
        name="references",
        description="Solos and mixtures in which a model's concepts are looked for.",
        seed=seed,
        n_clips=n_clips,
        validation_share=0.0,
        instruments=players,
        instruments_per_clip={n: weight for n, weight in _NUMBER_WEIGHTS.items() if n <= len(players)},
        melody=(_SINGLE_NOTES, _CHORDS),
        level_db=(-6.0, 6.0),
        soundfonts=(DEFAULT_SOUNDFONT,),
        articulation=_ARTICULATION,
        controllers=_VIBRATO,
    )
