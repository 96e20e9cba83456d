"""Explaining one clip: every contender's maps, held against the stems and against the network.

What a task asks of a clip is one of three depths, each including the one before: *scored*, the chosen method
on the model that the report is about; *compared*, contenders on every model, and whole curves; *examined*,
slow contenders too, and what is found out without stems (`checks`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.clips import PlannedClip
from ml.evaluation.explanations.checks import Checks, check
from ml.evaluation.explanations.contenders import LOGIT, Contender
from ml.evaluation.explanations.insertion import InsertionScores, insertions
from ml.evaluation.explanations.scene import HeardScene, Scene
from ml.evaluation.listening import loaded
from ml.truth.faithfulness import DeletionScores, FaithfulnessCurves, deletions, faithfulness_curves
from ml.truth.scores import MapScores, score_map
from ml.truth.stability import label_similarities

Depth = Literal["scored", "compared", "examined"]


@dataclass(frozen=True)
class Task:
    """A clip, and how closely to look at it."""

    clip: PlannedClip
    depth: Depth


@dataclass(frozen=True)
class ScoredMap:
    """One instrument's map of a clip.

    Attributes
    ----------
    instrument : str
    found : bool
        Whether the model finds it in the clip.
    scores : MapScores
    shapley : tuple of float
        What each stem does to the instrument's logit, in the order of `ScoredClip.stems`.
    deletion : DeletionScores
    insertion : InsertionScores
    """

    instrument: str
    found: bool
    scores: MapScores
    shapley: tuple[float, ...]
    deletion: DeletionScores
    insertion: InsertionScores


@dataclass(frozen=True)
class ScoredClip:
    """A contender's maps of a clip.

    Attributes
    ----------
    stems : tuple of str
        Instruments that play.
    maps : tuple of ScoredMap
    similarity : float
        Mean similarity of the maps of two instruments, over all pairs; NaN for one instrument.
    seconds_per_map : float
        Differs from run to run.
    """

    stems: tuple[str, ...]
    maps: tuple[ScoredMap, ...]
    similarity: float
    seconds_per_map: float


@dataclass(frozen=True)
class Findings:
    """All that was found out about a clip.

    Attributes
    ----------
    depth : {"scored", "compared", "examined"}
        How closely the clip was looked at.
    scored : tuple of mapping of str to ScoredClip
        By model, by the contender's key; the first model is the one that the report is about.
    curves : tuple of FaithfulnessCurves
        Of the chosen method, one for each map, where the clip was compared.
    checks : Checks or None
        Of the chosen method, where the clip was examined.
    """

    depth: Depth
    scored: tuple[Mapping[str, ScoredClip], ...]
    curves: tuple[FaithfulnessCurves, ...]
    checks: Checks | None


@dataclass(frozen=True)
class Examiner:
    """Explains clips; can be sent to another process.

    Attributes
    ----------
    model_folders : tuple of Path
        The first is the model that the report is about.
    chosen : Contender
        The method that the report is about.
    contenders : tuple of Contender
    device : {"auto", "cpu", "cuda"}
    """

    model_folders: tuple[Path, ...]
    chosen: Contender
    contenders: tuple[Contender, ...]
    device: str = "cpu"

    def __call__(self, task: Task) -> Findings:
        """Look at a clip."""
        scene = Scene.of(task.clip)
        folders = self.model_folders[:1] if task.depth == "scored" else self.model_folders
        scenes = [HeardScene.of(loaded(folder, self.device), scene) for folder in folders]
        return Findings(
            depth=task.depth,
            scored=tuple(
                score_clip(each, self.entered(task.depth, compared=place > 0))
                for place, each in enumerate(scenes)
            ),
            curves=self._curves(scenes[0]) if task.depth != "scored" else (),
            checks=check(scenes[0], self.chosen) if task.depth == "examined" else None,
        )

    def entered(self, depth: Depth, *, compared: bool) -> tuple[Contender, ...]:
        """Who makes maps of a clip: the chosen method, and from *compared* on the others.

        Compared models are spared slow contenders and second targets.
        """
        others = () if depth == "scored" else self.contenders
        return (
            self.chosen,
            *(
                contender
                for contender in others
                if contender != self.chosen
                and not (contender.slow and (compared or depth != "examined"))
                and not (contender.target != LOGIT and compared)
            ),
        )

    def _curves(self, scene: HeardScene) -> tuple[FaithfulnessCurves, ...]:
        if len(scene.inputs) == 0:
            return ()
        maps = _maps_of(scene, self.chosen)
        return faithfulness_curves(scene.model, scene.inputs, scene.labels, maps)


def score_clip(scene: HeardScene, contenders: Sequence[Contender]) -> dict[str, ScoredClip]:
    """Make and score every contender's maps of a clip.

    Parameters
    ----------
    scene : HeardScene
    contenders : sequence of Contender

    Returns
    -------
    dict of str to ScoredClip
        By key. All contenders are held against the same random deletions.
    """
    n_instruments = len(scene.instruments)
    maps, seconds = [], []
    for contender in contenders:
        begun = time.perf_counter()
        maps.append(_maps_of(scene, contender))
        seconds.append((time.perf_counter() - begun) / max(1, n_instruments))
    together = np.concatenate(maps).astype(np.float32)  # (n_contenders * n_instruments, n_windows, ...)
    labels = scene.labels * len(contenders)
    deleted = deletions(scene.model, scene.inputs, labels, together)
    inserted = insertions(scene.model, scene.inputs, labels, together)
    scored = {}
    for place, contender in enumerate(contenders):
        own = slice(place * n_instruments, (place + 1) * n_instruments)
        scored[contender.key] = ScoredClip(
            stems=scene.truth.instruments,
            maps=tuple(
                ScoredMap(
                    instrument=name,
                    found=name in scene.found,
                    scores=_score(scene, name, map_of_windows),
                    shapley=tuple(float(value) for value in scene.shapley[:, label]),
                    deletion=deletion,
                    insertion=insertion,
                )
                for name, label, map_of_windows, deletion, insertion in zip(
                    scene.instruments, scene.labels, maps[place], deleted[own], inserted[own], strict=True
                )
            ),
            similarity=_mean_similarity(maps[place]),
            seconds_per_map=seconds[place],
        )
    return scored


def _maps_of(scene: HeardScene, contender: Contender) -> NDArray[np.floating]:
    """`(n_instruments, n_windows, n_mels, n_frames)`."""
    if contender.kind == "ceiling":
        return scene.true_masks(contender.name)
    return contender.maker()(scene.model, scene.inputs, scene.labels)


def _score(scene: HeardScene, instrument: str, maps: NDArray[np.floating]) -> MapScores:
    return score_map(scene.merged(maps), scene.truth, instrument)


def _mean_similarity(maps: NDArray[np.floating]) -> float:
    if len(maps) < 2:
        return float("nan")
    alike = label_similarities(maps)
    return float(alike[np.triu_indices(len(maps), k=1)].mean())
