"""Evaluation on freshly synthesised clips: what a model makes of sounds it was not trained on.

Clips are instantiated from a recipe with a seed of their own, rendered, and classified exactly as an upload
would be. Intervals are 95 % percentile bootstrap intervals over clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ml.classification import classify
from ml.errors import InvalidRequestError
from ml.evaluation.metrics import f1_scores
from ml.model import Model
from ml.recording import Recording
from ml.synthesis.bank_check import check_banks
from ml.synthesis.instantiate import instantiate
from ml.synthesis.mix import render_clip
from ml.synthesis.recipe import Recipe
from ml.synthesis.render import SAMPLE_RATE_HZ

N_RESAMPLINGS = 1_000
INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class EvaluationReport:
    """How well a model did on a recipe's fresh clips."""

    model_id: str
    model_sha256: str
    recipe_name: str
    recipe_sha256: str
    soundfonts: dict[str, str]
    seed: int
    n_clips: int
    macro_f1: Interval
    micro_f1: float
    per_instrument_f1: dict[str, float]
    macro_f1_by_n_instruments: dict[int, float]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)


def evaluate_on_fresh_clips(
    model: Model, recipe: Recipe, on_progress: Callable[[int, int], None] | None = None
) -> EvaluationReport:
    """Synthesise a recipe's clips and score a model's predictions, with its own thresholds.

    Parameters
    ----------
    model : Model
    recipe : Recipe
        All its clips are used, whatever their split; its seed must not be one the model was trained with.
    on_progress : callable, optional
        Called with (clips done, clips in all).

    Returns
    -------
    EvaluationReport

    Raises
    ------
    InvalidRequestError
        When the model was trained on a recipe of this seed, or lacks one of its instruments.
    SystemDependencyError
        When FluidSynth or a SoundFont is missing.
    """
    trained_seed = model.card.dataset.get("recipe", {}).get("seed")
    if recipe.seed == trained_seed:
        raise InvalidRequestError(f"Seed {recipe.seed} is that of the model's training data; choose another.")
    missing = [name for name in recipe.labels if name not in model.card.labels]
    if missing:
        raise InvalidRequestError(f"The model {model.card.id} has no label for {', '.join(missing)}.")
    banks = check_banks(recipe)
    truth, predicted, n_playing = [], [], []
    for index, plan in enumerate(instantiate(recipe), start=1):
        recording = Recording(render_clip(plan, banks).mix, SAMPLE_RATE_HZ)
        found = set(classify(model, recording).found)
        truth.append([name in plan.labels for name in model.card.labels])
        predicted.append([name in found for name in model.card.labels])
        n_playing.append(len(plan.stems))
        if on_progress is not None:
            on_progress(index, recipe.n_clips)
    true, said, numbers = np.array(truth), np.array(predicted), np.array(n_playing)
    scores = f1_scores(true, said)
    return EvaluationReport(
        model_id=model.card.id,
        model_sha256=model.card.sha256,
        recipe_name=recipe.name,
        recipe_sha256=recipe.digest,
        soundfonts={name: bank.sha256() for name, bank in banks.items()},
        seed=recipe.seed,
        n_clips=recipe.n_clips,
        macro_f1=macro_f1_interval(true, said, np.random.default_rng(recipe.seed)),
        micro_f1=scores.micro,
        per_instrument_f1=dict(zip(model.card.labels, scores.per_label.tolist(), strict=True)),
        macro_f1_by_n_instruments={
            int(n): f1_scores(true[numbers == n], said[numbers == n]).macro for n in np.unique(numbers)
        },
    )


def macro_f1_interval(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_], rng: np.random.Generator
) -> Interval:
    """Macro-F1 with its 95 % percentile bootstrap interval over clips.

    Parameters
    ----------
    truth, predicted : ndarray of bool, shape (n_clips, n_labels)
    rng : numpy.random.Generator

    Returns
    -------
    Interval
    """
    resampled = [
        f1_scores(truth[chosen], predicted[chosen]).macro
        for chosen in rng.integers(len(truth), size=(N_RESAMPLINGS, len(truth)))
    ]
    low, high = np.percentile(resampled, INTERVAL_PERCENT)
    return Interval(f1_scores(truth, predicted).macro, float(low), float(high))
