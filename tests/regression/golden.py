"""The golden file of the shipped model: what it must go on saying about the example clips.

`python -m tests.regression.golden` writes `golden.npz` anew: do so only when a change of numbers is meant,
and say why in the commit. Maps are stored as sums over patches of 8 bands by 16 frames, which keeps the file
small and still shows where relevance moved.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.checkpoint import SHIPPED_MODELS
from ml.explanation import explain
from ml.model import load_model
from ml.recording import load_recording

GOLDEN = Path(__file__).parent / "golden.npz"
EXAMPLES = ("trumpet-and-celesta", "violin-and-organ")
PATCH_BANDS, PATCH_FRAMES = 8, 16


def patch_sums(relevance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums over patches, `(n_mels // 8, n_frames // 16)`; what is left over at the end is not counted."""
    rows, columns = relevance.shape[0] // PATCH_BANDS, relevance.shape[1] // PATCH_FRAMES
    cut = relevance[: rows * PATCH_BANDS, : columns * PATCH_FRAMES].astype(np.float64)
    sums: NDArray[np.float64] = cut.reshape(rows, PATCH_BANDS, columns, PATCH_FRAMES).sum(axis=(1, 3))
    return sums


def measure() -> dict[str, NDArray[np.float64]]:
    """Probabilities of every example, and its maps as patch sums, by name."""
    model = load_model(SHIPPED_MODELS / "default")
    found: dict[str, NDArray[np.float64]] = {}
    for name in EXAMPLES:
        data = Path(f"examples/{name}.wav").read_bytes()
        recording = load_recording(data, sample_rate_hz=model.sample_rate_hz)
        explanation = explain(model, recording, n_concepts=3)
        probabilities = {
            score.instrument: score.probability for score in explanation.classification.instruments
        }
        found[f"{name}/probabilities"] = np.array([probabilities[label] for label in model.card.labels])
        for instrument in explanation.instruments:
            key = f"{name}/{instrument.instrument}"
            found[f"{key}/map"] = patch_sums(instrument.relevance_map)
            found[f"{key}/channels"] = np.array(
                [c.channel for c in instrument.concepts[:-1]], dtype=np.float64
            )
            found[f"{key}/shares"] = np.array([c.share for c in instrument.concepts])
    return found


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, allow_pickle=False, **measure())
