"""Where a report's figures come from: the models, the versions, the command that makes them again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ml.checkpoint import ModelCard, SoundSource

VERSIONED_PACKAGES = (
    "timbrescope",
    "torch",
    "numpy",
    "scipy",
    "numba",
    "soundfile",
    "soxr",
    "pyfluidsynth",
    "mido",
)
SOUNDS_PLACEHOLDER = "SOUNDS"


@dataclass(frozen=True)
class ModelRecord:
    """What is told of a model: `dataset` and `recipe` are what it was trained on, `sounds` its banks."""

    id: str
    sha256: str
    network: str
    labels: tuple[str, ...]
    thresholds: dict[str, float]
    recipe: str
    dataset_digest: str
    sounds: tuple[dict[str, str], ...]

    @property
    def described(self) -> str:
        """Its network and what it was trained on, in words."""
        banks = len(self.sounds)
        heard = f"{banks} bank{'s' if banks != 1 else ''}"
        return f"network {self.network}, trained on {self.recipe} ({heard}), {self.sha256[:12]}"


def model_record(card: ModelCard) -> ModelRecord:
    """Tell of a model what its card says.

    Parameters
    ----------
    card : ModelCard

    Returns
    -------
    ModelRecord
    """
    recipe = card.dataset.get("recipe") or {}
    return ModelRecord(
        id=card.id,
        sha256=card.sha256,
        network=card.network,
        labels=card.labels,
        thresholds=card.thresholds,
        recipe=str(recipe.get("name", "data without a recipe")),
        dataset_digest=str(card.dataset.get("digest", "")),
        sounds=tuple(_sound(sound) for sound in card.sounds),
    )


def versions() -> dict[str, str]:
    """Versions of what the figures depend on."""
    return {package: version(package) for package in VERSIONED_PACKAGES}


def command_line(
    model: str,
    *,
    suites: Sequence[str],
    n_clips: int,
    seed: int,
    sounds: Path | None,
    banks: Sequence[str],
    recipes: Sequence[Path],
    datasets: Sequence[str],
    compare: Sequence[str],
    tried: Path | None,
    explanations: bool = False,
    methods: Sequence[str] = (),
) -> str:
    """The command that makes a report again, with every default written out.

    Parameters
    ----------
    model : str
        As it was given; so are `compare`, `banks` and the paths.
    suites, banks, recipes, datasets, compare : sequences
    n_clips, seed : int
    sounds : Path or None
        An absolute path is written as ``SOUNDS``, since it means nothing on another machine.
    tried : Path or None
    explanations : bool
    methods : sequence of str

    Returns
    -------
    str
    """
    words = ["timbrescope", "evaluate", _portable(model)]
    for suite in suites:
        words += ["--suite", suite]
    for recipe in recipes:
        words += ["--recipe", _portable(str(recipe))]
    for dataset in datasets:
        words += ["--dataset", _portable(dataset)]
    words += ["--explanations"] * explanations
    for method in methods:
        words += ["--method", method]
    if sounds is not None:
        words += ["--sounds", SOUNDS_PLACEHOLDER if sounds.is_absolute() else str(sounds)]
    for bank in banks:
        words += ["--bank", _portable(bank)]
    for other in compare:
        words += ["--compare", _portable(other)]
    words += ["--clips", str(n_clips), "--seed", str(seed)]
    if tried is not None:
        words += ["--notes", _portable(str(tried))]
    return shlex.join(words)


def _portable(given: str) -> str:
    """A path without the folders of this machine."""
    return Path(given).name if Path(given).is_absolute() else given


def _sound(sound: SoundSource) -> dict[str, str]:
    return {"name": sound.name, "sha256": sound.sha256, "licence": sound.licence}
