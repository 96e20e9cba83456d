"""The golden file of the truth scores: what they must go on saying about sounds and maps that never change.

`python -m tests.regression.truth_golden` writes `truth.npz` anew: do so only when a definition is meant to
change, and say why in the commit. Nothing in it depends on a trained model: the sounds are drawn from a seed,
and the network that deletion is tried on has seeded weights in float64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.truth.faithfulness import faithfulness_curves
from ml.truth.scores import MapScores, pooled_skill, score_map
from ml.truth.shapley import shapley_correlation, shapley_of
from ml.truth.stability import label_similarities
from ml.truth.stems import stem_truth
from tests.regression.golden import patch_sums
from tests.unit.ml.relevance.small import small_model
from tests.unit.ml.truth.sounds import MEL, burst, noise, recording

GOLDEN = Path(__file__).parent / "truth.npz"


def measure() -> dict[str, NDArray[np.float64]]:
    """Shares, scores and curves, by name."""
    stems = [burst("A", 0.0, 0.9, 0.1), burst("B", 0.3, 1.2, 0.2), burst("C", 0.6, 1.5, 0.001)]
    truth = stem_truth(stems, MEL, recording(noise(0.0005, 12)))
    maps = {name: _faulty(truth.true_mask(name), seed) for seed, name in enumerate(truth.instruments)}
    scores = [score_map(relevance, truth, name) for name, relevance in maps.items()]
    found = {
        f"shares/{name}": patch_sums(truth.shares[place].astype(np.float32))
        for place, name in enumerate("ABC")
    }
    found |= {f"scores/{name}": _numbers(each) for name, each in zip(maps, scores, strict=True)}
    found["skill"] = np.array([pooled_skill(scores)])
    found["alike"] = label_similarities(np.stack(list(maps.values())))
    game = np.random.default_rng(1).normal(size=(8, 3))
    found["shapley"] = shapley_of(game)
    on_stems = np.array([each.stem_relevance for each in scores])
    found["correlation"] = np.array([shapley_correlation(on_stems.ravel(), found["shapley"].T.ravel())])
    rng = np.random.default_rng(2)
    windows = rng.beta(0.5, 1.0, size=(2, 16, 64))
    (curves,) = faithfulness_curves(small_model("default"), windows, [1], rng.normal(size=(1, 2, 16, 64)))
    for name, order in (
        ("relevance", curves.relevance),
        ("random", curves.random),
        ("loudest", curves.loudest),
    ):
        found[f"curves/{name}"] = np.stack([order.deletion, order.insertion])
    return found


def _faulty(mask: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """A map that is mostly right, and partly against."""
    drawn: NDArray[np.float64] = np.random.default_rng(seed).normal(0.2, 1.0, mask.shape) * (0.3 + mask)
    return drawn


def _numbers(scores: MapScores) -> NDArray[np.float64]:
    single = (scores.mass_accuracy, scores.energy_share, scores.skill, scores.rank_accuracy)
    more = (scores.pointing, scores.own_stem, scores.time_overlap, scores.sounding_share)
    return np.array([*single, *more, *scores.stem_relevance], dtype=np.float64)


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, allow_pickle=False, **measure())
