"""Scored maps that were never made: any figures, for testing what becomes of them."""

from __future__ import annotations

import numpy as np

from ml.evaluation.explanations.examining import ScoredClip, ScoredMap
from ml.evaluation.explanations.insertion import InsertionScores
from ml.truth.faithfulness import DeletionScores
from ml.truth.scores import MapScores

NAMES = ("Violin", "Trumpet", "Celesta", "Piccolo")


def scored_map(instrument: str, n_stems: int, rng: np.random.Generator, *, alone: bool = False) -> ScoredMap:
    """A map with figures drawn at random; `alone`: its instrument owns all energy."""
    mass, energy = float(rng.random()), 1.0 if alone else float(0.9 * rng.random())
    return ScoredMap(
        instrument=instrument,
        found=bool(rng.random() < 0.7),
        scores=MapScores(
            mass_accuracy=mass,
            energy_share=energy,
            skill=None if alone else (mass - energy) / (1.0 - energy),
            pointing=bool(rng.random() < 0.8),
            rank_accuracy=None if rng.random() < 0.2 else float(rng.random()),
            stem_relevance=tuple(rng.normal(size=n_stems).tolist()),
            rest_relevance=0.0,
            own_stem=bool(rng.random() < 0.6),
            time_overlap=float(rng.random()),
            sounding_share=float(rng.random()),
        ),
        shapley=tuple((3.0 + rng.normal(size=n_stems)).tolist()),
        deletion=DeletionScores(*(rng.random(3) + 0.5).tolist()),
        insertion=InsertionScores(*(rng.random(2) + 0.5).tolist()),
    )


def scored_clips(n: int, seed: int) -> list[ScoredClip]:
    """Clips of one to four instruments."""
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(n):
        stems = tuple(rng.permutation(NAMES)[: rng.integers(1, 5)].tolist())
        maps = tuple(scored_map(name, len(stems), rng, alone=len(stems) == 1) for name in stems)
        similarity = float(rng.random()) if len(stems) > 1 else float("nan")
        clips.append(ScoredClip(stems, maps, similarity, 0.1))
    return clips
