"""The manifest of a finished data set: where it comes from, what it holds, and how to tell it is intact.

A data set is either synthesised from a recipe or imported from a folder of recordings; whoever reads it for
training need not know which.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml.dataset.occurrences import Occurrences
from ml.dataset.shards import ShardRecord
from ml.dataset.storage import Storage, open_storage
from ml.errors import InvalidRequestError
from ml.melspec import MelConfig
from ml.synthesis.recipe import Recipe

FORMAT_VERSION = 2
MANIFEST_NAME = "manifest.json"
OCCURRENCES_NAME = "occurrences.md"


class InvalidDatasetError(InvalidRequestError):
    """A place that holds no finished, intact data set."""

    code = "invalid-dataset"


@dataclass(frozen=True)
class RecipeSource:
    """A recipe, its digest, and SHA-256 of the SoundFonts that played it, by name."""

    recipe: Recipe
    recipe_sha256: str
    soundfonts: dict[str, str]

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.recipe.name

    def to_dict(self) -> dict[str, Any]:
        """Plain fields for JSON."""
        return {
            "kind": "recipe",
            "recipe": self.recipe.model_dump(mode="json"),
            "recipe_sha256": self.recipe_sha256,
            "soundfonts": self.soundfonts,
        }

    def summary(self) -> dict[str, Any]:
        """What a model's card says of it: all of it, so that the data set can be made again.

        Returns
        -------
        dict
            Plain fields for JSON.
        """
        return self.to_dict()


@dataclass(frozen=True)
class FolderSource:
    """A folder of recordings, one subfolder per label.

    Attributes
    ----------
    name : str
        The folder's own name.
    files : dict of str to str
        SHA-256 of every recording, by its path in the folder.
    skipped : dict of str to str
        Files that could not be read, and why.
    validation_share : float
    seed : int
        Of the draw of the files that validate.
    """

    name: str
    files: dict[str, str]
    skipped: dict[str, str]
    validation_share: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain fields for JSON."""
        return {"kind": "folder", **asdict(self)}

    def summary(self) -> dict[str, Any]:
        """What a model's card says of it: its files are counted, not listed.

        File names may be private, and there may be many thousands; the manifest keeps them.

        Returns
        -------
        dict
            Plain fields for JSON.
        """
        return {
            "kind": "folder",
            "name": self.name,
            "n_files": len(self.files),
            "n_skipped": len(self.skipped),
            "validation_share": self.validation_share,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says.

    Attributes
    ----------
    source : RecipeSource or FolderSource
    labels : tuple of str
        Names of the labels, in the order in which networks have them.
    mel : MelConfig
    n_frames : int
        Frames of every clip.
    shards : tuple of ShardRecord
        Training shards first.
    occurrences : Occurrences
    versions : dict of str to str
        Of the libraries that made it.
    """

    source: RecipeSource | FolderSource
    labels: tuple[str, ...]
    mel: MelConfig
    n_frames: int
    shards: tuple[ShardRecord, ...]
    occurrences: Occurrences
    versions: dict[str, str]

    @property
    def name(self) -> str:
        """Name of the recipe or of the imported folder."""
        return self.source.name

    @property
    def soundfonts(self) -> dict[str, str]:
        """SHA-256 of the SoundFonts that played it, by name; none for recordings."""
        return self.source.soundfonts if isinstance(self.source, RecipeSource) else {}

    @property
    def n_clips(self) -> int:
        """Clips of all shards."""
        return sum(map(len, self.shards))

    @property
    def digest(self) -> str:
        """SHA-256 over the checksums of all shards' files: equal digests are equal data."""
        lines = [
            f"{name} {value}\n" for shard in self.shards for name, value in sorted(shard.checksums.items())
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def write(self, storage: Storage) -> None:
        """Write `occurrences.md`, then `manifest.json`, with which the data set is finished."""
        fields = {
            "format_version": FORMAT_VERSION,
            "digest": self.digest,
            "source": self.source.to_dict(),
            "labels": self.labels,
            "mel": self.mel.to_dict(),
            "n_frames": self.n_frames,
            "versions": self.versions,
            "machines": sorted({shard.machine for shard in self.shards}),
            "occurrences": asdict(self.occurrences),
        }
        # one line per shard: an indented list of every clip would be many times as long
        head = json.dumps(fields, indent=1).removesuffix("\n}")
        shards = ",\n  ".join(json.dumps(asdict(shard), separators=(",", ":")) for shard in self.shards)
        storage.write_whole(OCCURRENCES_NAME, self.occurrences.markdown(f"Clips of {self.name}").encode())
        storage.write_whole(MANIFEST_NAME, f'{head},\n "shards": [\n  {shards}\n ]\n}}\n'.encode())

    @staticmethod
    def read(place: str | Path | Storage) -> Manifest:
        """Read a finished data set's manifest.

        Raises
        ------
        InvalidDatasetError
            When there is none: the place holds no data set, or its building was interrupted.
        StorageError
            When the place cannot be reached.
        """
        storage = open_storage(place)
        if not storage.exists(MANIFEST_NAME):
            raise InvalidDatasetError(
                f"{storage} holds no finished data set (no {MANIFEST_NAME}); build it, or finish it."
            )
        fields = json.loads(storage.read(MANIFEST_NAME))
        if fields.get("format_version") != FORMAT_VERSION:
            raise InvalidDatasetError(
                f"{storage}/{MANIFEST_NAME} has format {fields.get('format_version')}, not {FORMAT_VERSION}."
            )
        return Manifest(
            source=_read_source(fields["source"]),
            labels=tuple(fields["labels"]),
            mel=MelConfig.from_dict(fields["mel"]),
            n_frames=fields["n_frames"],
            shards=tuple(map(ShardRecord.from_dict, fields["shards"])),
            occurrences=Occurrences.from_dict(fields["occurrences"]),
            versions=fields["versions"],
        )


def _read_source(fields: dict[str, Any]) -> RecipeSource | FolderSource:
    kind, values = fields["kind"], {name: value for name, value in fields.items() if name != "kind"}
    if kind == "folder":
        return FolderSource(**values)
    return RecipeSource(**{**values, "recipe": Recipe.model_validate(values["recipe"])})
