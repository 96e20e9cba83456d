"""The manifest of a finished data set: what made it, what it holds, and how to tell it is intact."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ml.dataset.shards import ShardRecord, write_whole
from ml.errors import InvalidRequestError
from ml.melspec import MelConfig
from ml.synthesis.instantiate import ClipPlan
from ml.synthesis.recipe import Recipe

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"


class InvalidDatasetError(InvalidRequestError):
    """A folder that is no finished, intact data set."""

    code = "invalid-dataset"


@dataclass(frozen=True)
class Occurrences:
    """How often instruments, and numbers of instruments, occur, by split.

    `per_instrument[split][name]` and `per_n_instruments[split][n]` count clips.
    """

    per_instrument: dict[str, dict[str, int]]
    per_n_instruments: dict[str, dict[int, int]]


def count_occurrences(clips: Iterable[ClipPlan], instruments: Sequence[str]) -> Occurrences:
    """Count clips by instrument and by number of instruments, for each split.

    Parameters
    ----------
    clips : iterable of ClipPlan
    instruments : sequence of str
        Names in the order to count them in; one that never plays counts 0.

    Returns
    -------
    Occurrences
    """
    by_instrument: dict[str, Counter[str]] = {"train": Counter(), "validation": Counter()}
    by_number: dict[str, Counter[int]] = {"train": Counter(), "validation": Counter()}
    for clip in clips:
        by_instrument[clip.split].update(clip.labels)
        by_number[clip.split][len(clip.stems)] += 1
    return Occurrences(
        {split: {name: counts[name] for name in instruments} for split, counts in by_instrument.items()},
        {split: dict(sorted(counts.items())) for split, counts in by_number.items()},
    )


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says."""

    recipe: Recipe
    recipe_sha256: str
    mel: MelConfig
    shards: tuple[ShardRecord, ...]
    occurrences: Occurrences
    soundfonts: dict[str, str]
    versions: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over the checksums of all shards: equal digests are equal data."""
        lines = [
            f"{name} {value}\n" for shard in self.shards for name, value in sorted(shard.checksums.items())
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write `manifest.json`."""
        fields = {
            "format_version": FORMAT_VERSION,
            "digest": self.digest,
            "recipe": self.recipe.model_dump(mode="json"),
            "recipe_sha256": self.recipe_sha256,
            "mel": self.mel.to_dict(),
            "soundfonts": self.soundfonts,
            "versions": self.versions,
            "occurrences": asdict(self.occurrences),
            "shards": [asdict(shard) for shard in self.shards],
        }
        write_whole(folder / MANIFEST_NAME, json.dumps(fields, indent=1).encode())

    @staticmethod
    def read(folder: Path) -> Manifest:
        """Read a finished data set's manifest.

        Raises
        ------
        InvalidDatasetError
            When there is none: the folder is no data set, or its building was interrupted.
        """
        path = folder / MANIFEST_NAME
        if not path.is_file():
            raise InvalidDatasetError(
                f"{folder} holds no finished data set (no {MANIFEST_NAME}); build it, or finish it."
            )
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.get("format_version") != FORMAT_VERSION:
            raise InvalidDatasetError(
                f"{path} has format {fields.get('format_version')}, not {FORMAT_VERSION}."
            )
        occurrences = fields["occurrences"]
        return Manifest(
            recipe=Recipe.model_validate(fields["recipe"]),
            recipe_sha256=fields["recipe_sha256"],
            mel=MelConfig.from_dict(fields["mel"]),
            shards=tuple(
                ShardRecord(**{**shard, "clip_ids": tuple(shard["clip_ids"])}) for shard in fields["shards"]
            ),
            occurrences=Occurrences(
                occurrences["per_instrument"],
                {
                    split: {int(n): c for n, c in counts.items()}
                    for split, counts in occurrences["per_n_instruments"].items()
                },
            ),
            soundfonts=fields["soundfonts"],
            versions=fields["versions"],
        )
