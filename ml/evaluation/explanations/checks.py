"""A closer look at one method's maps: do they change when they should, and what are they made of?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.evaluation.explanations.contenders import CONTRAST, Contender
from ml.evaluation.explanations.scene import HeardScene
from ml.relevance.engine import concept_layers, explain_targets
from ml.relevance.methods import method_named
from ml.relevance.target import Target
from ml.truth.scores import score_map
from ml.truth.stability import Randomised, Stability, stability, weight_randomisation

N_CONCEPTS = 5


@dataclass(frozen=True)
class LayerParts:
    """One map, split by the channels of one layer.

    Attributes
    ----------
    layer : str
    error : float
        Largest deviation of concept maps plus remainder from the map made without concepts, over the map's
        largest magnitude.
    share : float
        Part of the positive relevance of all channels that the `N_CONCEPTS` strongest concepts hold, 0..1.
    mass_accuracy : float
        Of these concepts' maps, each counted by its positive relevance (`MapScores.mass_accuracy`).
    """

    layer: str
    error: float
    share: float
    mass_accuracy: float


@dataclass(frozen=True)
class Checks:
    """What was found out about the maps of a clip.

    Attributes
    ----------
    stability : tuple of Stability
        One for each instrument.
    randomised : tuple of Randomised
        One for each layer, the head first; means over the instruments.
    layers : tuple of LayerParts
        For each instrument and each of the model's concept layers.
    """

    stability: tuple[Stability, ...]
    randomised: tuple[Randomised, ...]
    layers: tuple[LayerParts, ...]


def check(scene: HeardScene, chosen: Contender) -> Checks:
    """Look closely at one method's maps of a clip.

    Parameters
    ----------
    scene : HeardScene
    chosen : Contender
        A method.

    Returns
    -------
    Checks
        Empty for a clip in which nothing sounds.
    """
    if len(scene.inputs) == 0 or not scene.instruments:
        return Checks((), (), ())
    make_maps = chosen.maker()
    return Checks(
        stability=stability(scene.model, scene.scene.mix, scene.labels, make_maps),
        randomised=weight_randomisation(scene.model, scene.inputs, scene.labels, make_maps),
        layers=tuple(
            parts for layer in concept_layers(scene.model) for parts in _parts(scene, chosen, layer)
        ),
    )


def _parts(scene: HeardScene, chosen: Contender, layer: str) -> list[LayerParts]:
    method = method_named(chosen.name)
    targets = [Target(label, against_others=chosen.target == CONTRAST) for label in scene.labels]
    whole = explain_targets(scene.model, scene.inputs, targets, method=method)
    split = explain_targets(scene.model, scene.inputs, targets, N_CONCEPTS, method=method, layer=layer)
    parts = []
    for instrument, alone, found in zip(scene.instruments, whole, split, strict=True):
        deviation = np.abs(found.concept_maps.sum(axis=0, dtype=np.float64) - alone.maps).max()
        magnitude = float(np.abs(alone.maps).max())
        concepts = [scene.merged(maps) for maps in found.concept_maps[:-1]]
        masses = [float(np.maximum(concept, 0.0).sum()) for concept in concepts]
        accuracies = [score_map(concept, scene.truth, instrument).mass_accuracy for concept in concepts]
        channels = np.maximum(found.channels.mean(axis=0), 0.0)
        total = float(channels.sum())
        parts.append(
            LayerParts(
                layer=layer,
                error=float(deviation) / magnitude if magnitude > 0.0 else 0.0,
                share=float(channels[list(found.strongest)].sum()) / total if total > 0.0 else 0.0,
                mass_accuracy=float(np.average(accuracies, weights=masses)) if sum(masses) > 0.0 else 0.0,
            )
        )
    return parts
