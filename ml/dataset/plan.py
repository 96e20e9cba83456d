"""Plans: what a data set will hold, decided and claimed before anything is rendered.

Planning checks the recipe's SoundFonts, then writes `recipe.json` into the place, which claims it: the
recipe, what is kept, how clips are cut into shards, the SoundFonts' hashes and the libraries' versions. Any
process on any machine reads the same plan back from there, makes sure that its own SoundFonts and
libraries are those, and may build any shard.

Clips are instantiated by whoever builds their shard. Only where notes come from outside (a folder of MIDI
files, music21's scores, a command) the planner instantiates them all, into the shards' `.jsonl`, since others
may not reach the source. That may take minutes; who waits for it is told, and may stop it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ml.dataset.sameness import bank_sha256, require_same_banks, require_same_versions
from ml.dataset.shards import CLIPS_PER_SHARD, ShardContent
from ml.dataset.storage import Storage
from ml.dataset.versions import synthesis_versions
from ml.errors import ConflictError
from ml.melspec import MelConfig, MelMismatchError
from ml.synthesis.bank_check import check_banks
from ml.synthesis.instantiate import instantiate, validation_indices
from ml.synthesis.melodies.source import nobody_watches
from ml.synthesis.plan import SPLITS, ClipPlan, Split
from ml.synthesis.recipe import Recipe, require_both_parts
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import Bank

CLAIM_NAME = "recipe.json"
CLAIM_VERSION = 2
_PLANNED_AHEAD = re.compile(r"(train|validation)-\d{5,}\.jsonl")


class DatasetConflictError(ConflictError):
    """The place already holds another data set, or something else."""

    code = "dataset-conflict"


@dataclass(frozen=True)
class PlanningWatch:
    """Who is told how far planning is, by (done, in all), and may raise to stop it.

    Attributes
    ----------
    on_file : callable
        After every file that a melody's source reads; what was read is kept for a while.
    on_clip : callable
        After every clip that is planned ahead.
    """

    on_file: Callable[[int, int], None] = nobody_watches
    on_clip: Callable[[int, int], None] = nobody_watches


@dataclass(frozen=True)
class ShardPlan:
    """Which clips of the recipe a shard holds, by index."""

    name: str
    split: Split
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class DatasetPlan:
    """A claimed place and all that decides what will lie there.

    Attributes
    ----------
    recipe : Recipe
    storage : Storage
    content : ShardContent
    mel : MelConfig
    soundfonts : dict of str to str
        SHA-256 of each bank, by the name that the recipe uses.
    versions : dict of str to str
        Of the libraries.
    banks : dict of str to Bank
        Where this machine keeps the SoundFonts.
    shards : tuple of ShardPlan
        Training shards first.
    """

    recipe: Recipe
    storage: Storage
    content: ShardContent
    mel: MelConfig
    soundfonts: dict[str, str]
    versions: dict[str, str]
    banks: dict[str, Bank]
    shards: tuple[ShardPlan, ...]

    @property
    def n_clips(self) -> int:
        """Clips of all shards."""
        return self.recipe.n_clips

    def shard(self, name: str) -> ShardPlan:
        """The shard of that name; raises KeyError when there is none."""
        return {shard.name: shard for shard in self.shards}[name]

    def clips(self, shard: ShardPlan) -> tuple[ClipPlan, ...]:
        """The clips of a shard, with all choices made."""
        if _planned_ahead(self.recipe):
            lines = self.storage.read(f"{shard.name}.jsonl").decode().splitlines()
            return tuple(map(ClipPlan.from_json, lines))
        return tuple(instantiate(self.recipe, shard.indices))


def plan_shards(recipe: Recipe, clips_per_shard: int = CLIPS_PER_SHARD) -> tuple[ShardPlan, ...]:
    """Cut a recipe's clips into shards of one split each, in clip order.

    Parameters
    ----------
    recipe : Recipe
    clips_per_shard : int
        At most; positive.

    Returns
    -------
    tuple of ShardPlan
        Training shards first.
    """
    validating = validation_indices(recipe)
    shards: list[ShardPlan] = []
    for split in SPLITS:
        members = [i for i in range(recipe.n_clips) if (i in validating) == (split == "validation")]
        for number, first in enumerate(range(0, len(members), clips_per_shard)):
            indices = tuple(members[first : first + clips_per_shard])
            shards.append(ShardPlan(f"{split}-{number:05d}", split, indices))
    return tuple(shards)


def plan_dataset(
    recipe: Recipe,
    storage: Storage,
    content: ShardContent = ShardContent(),  # noqa: B008  frozen
    mel: MelConfig = MelConfig(),  # noqa: B008  frozen
    clips_per_shard: int = CLIPS_PER_SHARD,
    *,
    watch: PlanningWatch = PlanningWatch(),
) -> DatasetPlan:
    """Check everything that a data set needs and claim its place, or recognise a place claimed for it before.

    Parameters
    ----------
    recipe : Recipe
    storage : Storage
    content : ShardContent
    mel : MelConfig
    clips_per_shard : int
    watch : PlanningWatch
        Hears of files and clips where notes come from outside. A place whose planning was stopped is not
        claimed, and can be planned anew.

    Returns
    -------
    DatasetPlan

    Raises
    ------
    SystemDependencyError
        When FluidSynth, a SoundFont or an instrument in one is missing, or the data set was begun with other
        SoundFonts or libraries.
    InvalidRecipeError
        When a SoundFont that validates is trained on as well, or a part of the data set would be empty.
    DatasetConflictError
        When the place holds something else.
    MelMismatchError
        When the front end wants another sample rate than synthesis has.
    StorageError
        When the place cannot be written.
    """
    if mel.sample_rate_hz != SAMPLE_RATE_HZ:
        raise MelMismatchError(
            f"Clips have {SAMPLE_RATE_HZ} Hz; the front end asks for {mel.sample_rate_hz}."
        )
    require_both_parts(recipe)
    banks = check_banks(recipe)
    claim = {
        "format_version": CLAIM_VERSION,
        "recipe": recipe.model_dump(mode="json"),
        "audio": content.audio,
        "stems": content.stems,
        "clips_per_shard": clips_per_shard,
        "mel": mel.to_dict(),
        "soundfonts": {name: bank_sha256(bank) for name, bank in banks.items()},
        "versions": synthesis_versions(),
    }
    if not storage.exists(CLAIM_NAME):
        others = [name for name in storage.list() if not _PLANNED_AHEAD.fullmatch(name)]
        if others:
            raise DatasetConflictError(
                f"{storage} is not empty and holds no data set (there is {others[0]}); choose another place."
            )
        if _planned_ahead(recipe):
            _write_clips(recipe, storage, plan_shards(recipe, clips_per_shard), watch)
        storage.write_whole(CLAIM_NAME, json.dumps(claim, indent=1).encode())
    found = _read_claim(storage)  # also what was just written: somebody else may have been faster
    if {**found, "soundfonts": 0, "versions": 0} != {**_plain(claim), "soundfonts": 0, "versions": 0}:
        raise DatasetConflictError(
            f"{storage} already holds another data set (see its {CLAIM_NAME}); choose another place."
        )
    return _plan_of(found, storage)


def open_plan(storage: Storage) -> DatasetPlan:
    """Read back what was planned, here or on another machine.

    Parameters
    ----------
    storage : Storage

    Returns
    -------
    DatasetPlan

    Raises
    ------
    SystemDependencyError
        When a SoundFont is missing here, or SoundFonts or libraries are not those of the plan.
    StorageError
        When there is no plan.
    """
    return _plan_of(_read_claim(storage), storage)


def _plan_of(claim: dict[str, Any], storage: Storage) -> DatasetPlan:
    recipe = Recipe.model_validate(claim["recipe"])
    banks = require_same_banks(claim["soundfonts"], str(storage))
    require_same_versions(claim["versions"], str(storage))
    return DatasetPlan(
        recipe=recipe,
        storage=storage,
        content=ShardContent(claim["audio"], claim["stems"]),
        mel=MelConfig.from_dict(claim["mel"]),
        soundfonts=claim["soundfonts"],
        versions=claim["versions"],
        banks=banks,
        shards=plan_shards(recipe, claim["clips_per_shard"]),
    )


def _read_claim(storage: Storage) -> dict[str, Any]:
    claim: dict[str, Any] = json.loads(storage.read(CLAIM_NAME))
    if claim.get("format_version") != CLAIM_VERSION:
        raise DatasetConflictError(
            f"{storage} holds a data set of format {claim.get('format_version', 1)}, not {CLAIM_VERSION}."
        )
    return claim


def _plain(claim: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back: lists for tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(claim))
    return plain


def _planned_ahead(recipe: Recipe) -> bool:
    return any(melody.source != "random" for melody in recipe.melodies)


def _write_clips(
    recipe: Recipe, storage: Storage, shards: tuple[ShardPlan, ...], watch: PlanningWatch
) -> None:
    clips = instantiate(recipe, (index for shard in shards for index in shard.indices), watch.on_file)
    done = 0
    for shard in shards:
        lines = []
        for clip in itertools.islice(clips, len(shard)):
            lines.append(f"{clip.to_json()}\n")
            done += 1
            watch.on_clip(done, recipe.n_clips)
        storage.write_whole(f"{shard.name}.jsonl", "".join(lines).encode())
