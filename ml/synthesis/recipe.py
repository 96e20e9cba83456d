"""Recipes: what a data set should sound like, before any random choice is made.

A recipe is a YAML file (or the same as JSON) validated here, once. `ml.synthesis.instantiate` turns it and
its seed into clips in which every choice is made. Ranges are `[lowest, highest]`, inclusive; durations are in
seconds, levels in dB, pitches are MIDI note numbers, probabilities lie in 0..1.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, ValidationInfo, field_validator

from ml.errors import FieldFault, InvalidRequestError, UnknownInstrumentError, named
from ml.instruments import INSTRUMENTS, Instrument, instruments_named, slug_of
from ml.synthesis.articulation import Articulation
from ml.synthesis.bank_choice import SoundFonts, banks_of, is_path, require_served
from ml.synthesis.combinations import (
    Combinations,
    ExplicitCombinations,
    InstrumentCounts,
    UniformCombinations,
    require_known,
)
from ml.synthesis.controller_settings import Controllers
from ml.synthesis.effects.settings import Effects
from ml.synthesis.melodies.settings import Melody, PhraseMelody, RandomMelody
from ml.synthesis.plan import SPLITS
from ml.synthesis.sections import (
    ClipSeconds,
    Count,
    Integer,
    Probability,
    RangeOfDecibels,
    RangeOfPitches,
    Section,
    ValidationShare,
    fault_message,
    field_name,
)

MAX_STEMS = 15  # the melodic channels of a MIDI port
MAX_CHARACTERS = 1_000_000
# Of recipes from the network: scores are read, and clips with phrases of them drawn, by one planner alone.
MAX_SCORES = 1_000
MAX_CLIPS_OF_SCORES = 100_000
DEFAULT_COUNTS = (1, 2, 3, 4)  # as far as there are so many instruments


class InvalidRecipeError(InvalidRequestError):
    """A recipe that cannot be rendered; the message names the field and the reason."""

    code = "invalid-recipe"


class CustomInstrument(Section):
    """An instrument that is not in the vocabulary: a label, the preset that plays it, and what it can do."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
    program: Annotated[Integer, Field(ge=0, le=127)]
    bank: Annotated[Integer, Field(ge=0, le=127)] = 0
    pitch_range: RangeOfPitches
    max_voices: Count = 1
    family: str = ""

    @field_validator("name")
    @classmethod
    def _name_can_be_spelt(cls, value: str) -> str:
        if not slug_of(value) or value != value.strip():
            raise ValueError(f"{value!r} needs a letter a-z or a digit, for file names, and no space around")
        return value


InstrumentEntry = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[CustomInstrument, Tag("<custom>")],
    Discriminator(lambda value: "<name>" if isinstance(value, str) else "<custom>"),
]
Melodies = Annotated[
    Annotated[Melody, Tag("<one>")] | Annotated[tuple[Melody, ...], Tag("<several>"), Field(min_length=1)],
    Discriminator(lambda value: "<several>" if isinstance(value, (list, tuple)) else "<one>"),
]


class Recipe(Section):
    """A whole data set. `recipes/full.yaml` shows and explains every field.

    Cross-checks run where the later of two fields is validated, so that a fault names that field.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    description: str = ""
    seed: Annotated[Integer, Field(ge=0, lt=2**63)] = 0
    n_clips: Annotated[Integer, Field(ge=1, le=10_000_000)]
    validation_share: ValidationShare = 0.2
    clip_duration_s: ClipSeconds = 5.0
    instruments: Annotated[tuple[InstrumentEntry, ...], Field(min_length=1)] = tuple(
        instrument.name for instrument in INSTRUMENTS
    )
    combinations: Combinations = UniformCombinations()
    instruments_per_clip: Annotated[InstrumentCounts, Field(validate_default=True)] = DEFAULT_COUNTS
    melody: Melodies = RandomMelody()
    level_db: RangeOfDecibels = (-3.0, 3.0)
    soundfont_per: Literal["clip", "stem"] = "clip"
    soundfonts: Annotated[SoundFonts, Field(validate_default=True)] = ("FluidR3_GM",)
    reverb_probability: Probability = 0.5
    chorus_probability: Probability = 0.5
    articulation: Articulation | None = None
    controllers: Controllers | None = None
    effects: Effects | None = None

    @field_validator("instruments")
    @classmethod
    def _instruments_exist(cls, value: tuple[str | CustomInstrument, ...]) -> object:
        try:
            instruments_named(entry for entry in value if isinstance(entry, str))
        except UnknownInstrumentError as error:
            known = ", ".join(instrument.name for instrument in INSTRUMENTS)
            raise ValueError(f"{str(error).removesuffix('.')}; known: {known}") from error
        names = _names(value)
        if len(set(names)) != len(names):
            raise ValueError("an instrument is named twice")
        if len({slug_of(name) for name in names}) != len(names):
            raise ValueError("two instruments have the same name but for case and punctuation")
        return value

    @field_validator("combinations")
    @classmethod
    def _combinations_are_of_the_instruments(cls, value: Combinations, info: ValidationInfo) -> Combinations:
        return require_known(value, _names(info.data["instruments"])) if "instruments" in info.data else value

    @field_validator("instruments_per_clip", mode="before")
    @classmethod
    def _by_default_no_more_than_there_are(cls, value: object, info: ValidationInfo) -> object:
        if value is DEFAULT_COUNTS:  # left out: what a person writes is another object
            return DEFAULT_COUNTS[: len(info.data.get("instruments", DEFAULT_COUNTS))]
        return value

    @field_validator("instruments_per_clip")
    @classmethod
    def _so_many_can_be_drawn(cls, value: InstrumentCounts, info: ValidationInfo) -> InstrumentCounts:
        combinations, instruments = info.data.get("combinations"), info.data.get("instruments")
        if isinstance(combinations, ExplicitCombinations):
            if value not in (combinations.sizes, DEFAULT_COUNTS[: len(instruments or ())]):
                raise ValueError(f"the explicit combinations have {combinations.sizes}; leave this field out")
            return combinations.sizes
        if instruments is not None and max(value) > len(instruments):
            raise ValueError(f"asks for {max(value)} of {len(instruments)} instruments")
        if max(value) > MAX_STEMS:
            raise ValueError(f"is limited to {MAX_STEMS}, the melodic channels of a MIDI port")
        return value

    @field_validator("soundfonts")
    @classmethod
    def _every_instrument_is_served(cls, value: SoundFonts, info: ValidationInfo) -> SoundFonts:
        if not {"instruments", "combinations", "soundfont_per"} <= info.data.keys():
            return value  # the fault is theirs
        names, combinations = _names(info.data["instruments"]), info.data["combinations"]
        if info.data["soundfont_per"] == "stem":
            together = [frozenset({name}) for name in names]
        elif isinstance(combinations, ExplicitCombinations):
            together = [frozenset(one.instruments) for one in combinations.sets]
        else:
            together = [frozenset(names)]
        require_served(value, together, names)
        return value

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the instruments, in label order."""
        return _names(self.instruments)

    @property
    def vocabulary(self) -> tuple[Instrument, ...]:
        """The instruments in label order."""
        return tuple(_instrument(entry) for entry in self.instruments)

    @property
    def melodies(self) -> tuple[Melody, ...]:
        """The melodies, of which each clip draws one."""
        return self.melody if isinstance(self.melody, tuple) else (self.melody,)

    def melody_field(self, place: int) -> str:
        """How faults spell the melody at this place of `melodies`."""
        return f"melody.{place}" if isinstance(self.melody, tuple) else "melody"

    @property
    def n_validation_clips(self) -> int:
        """How many clips validate: `n_clips * validation_share`, rounded."""
        return round(self.n_clips * self.validation_share)

    @property
    def digest(self) -> str:
        """SHA-256 of the validated recipe: equal digests make equal data sets."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, by which a few lines could stand for more than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias in line {self.line + 1}; aliases are not taken")
        return super().compose_node(parent, index)


def _names(instruments: tuple[str | CustomInstrument, ...]) -> tuple[str, ...]:
    return tuple(entry if isinstance(entry, str) else entry.name for entry in instruments)


def _instrument(entry: str | CustomInstrument) -> Instrument:
    if isinstance(entry, str):
        return instruments_named([entry])[0]
    lowest_pitch, highest_pitch = entry.pitch_range
    return Instrument(
        entry.name, entry.program, lowest_pitch, highest_pitch, entry.max_voices, entry.family, entry.bank
    )


def parse_recipe(text: str) -> Recipe:
    """Validate a recipe.

    Parameters
    ----------
    text : str
        YAML or JSON.

    Returns
    -------
    Recipe

    Raises
    ------
    InvalidRecipeError
        When the text is not YAML or a field is missing, unknown or out of range; all faults are named.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidRecipeError(f"The recipe has {len(text)} characters; the limit is {MAX_CHARACTERS}.")
    try:
        fields = yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that is none
        raise InvalidRecipeError(f"The recipe is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InvalidRecipeError("The recipe is not YAML: it is nested too deeply.") from error
    if not isinstance(fields, dict):
        raise InvalidRecipeError("The recipe is not a mapping of fields.")
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        faults = [FieldFault(field_name(fault["loc"]), fault_message(fault)) for fault in error.errors()]
        raise InvalidRecipeError(
            f"The recipe is not valid: {'; '.join(map(str, faults))}.", extra=named(faults)
        ) from error


def read_recipe(path: Path) -> Recipe:
    """Read and validate a recipe file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Recipe

    Raises
    ------
    InvalidRecipeError
        When the file cannot be read, or as for `parse_recipe`.
    """
    try:
        return parse_recipe(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidRecipeError(f"The recipe {path} is not text.") from error


def require_both_parts(recipe: Recipe) -> None:
    """Refuse a recipe of a data set that would lack one of its parts; a share of 0 asks for no validation.

    Parameters
    ----------
    recipe : Recipe

    Raises
    ------
    InvalidRecipeError
        When no clip would validate although a share should, or none be trained on.
    """
    n_validation, asked = recipe.n_validation_clips, f"{recipe.validation_share:g} of {recipe.n_clips} clips"
    fault = None
    if recipe.validation_share > 0.0 and n_validation == 0:
        fault = f"{asked} are none; ask for more clips, or for 0 where none should validate"
    elif n_validation == recipe.n_clips:
        fault = f"{asked} are all of them, and none is left to train on"
    if fault is not None:
        raise InvalidRecipeError(
            f"The recipe makes no data set: validation_share: {fault}.",
            extra=named([FieldFault("validation_share", fault)]),
        )


def require_safe(recipe: Recipe) -> None:
    """Refuse what a recipe from the network must not do: run commands, read folders, open files by path, or
    have one machine prepare for hours what others wait for.

    Parameters
    ----------
    recipe : Recipe

    Raises
    ------
    InvalidRecipeError
        When a melody comes from a command or a folder, a SoundFont is given by its path, or more scores are
        to be read or more clips to be drawn from them than a planner should; all are named.
    """
    faults = []
    n_files = 0
    for place, melody in enumerate(recipe.melodies):
        field = recipe.melody_field(place)
        if melody.reach is not None:
            faults.append(
                FieldFault(f"{field}.{melody.reach}", "only the operator may use it, with the command line")
            )
        if isinstance(melody, PhraseMelody):
            n_files += melody.max_files
            if n_files > MAX_SCORES:
                faults.append(
                    FieldFault(
                        f"{field}.max_files",
                        f"{n_files} scores in all are more than {MAX_SCORES}; read fewer, or use the command "
                        "line",
                    )
                )
    if n_files and recipe.n_clips > MAX_CLIPS_OF_SCORES:
        faults.append(
            FieldFault(
                "n_clips",
                f"{recipe.n_clips} clips with phrases of scores are more than {MAX_CLIPS_OF_SCORES}; ask for "
                "fewer, or use the command line",
            )
        )
    for split in SPLITS:
        for bank in banks_of(recipe.soundfonts, split):
            if is_path(bank.name):
                faults.append(FieldFault("soundfonts", f"{bank.name} is a path; name an installed bank"))
    if faults:
        once = list(dict.fromkeys(faults))
        raise InvalidRecipeError(f"The recipe is refused: {'; '.join(map(str, once))}.", extra=named(once))
