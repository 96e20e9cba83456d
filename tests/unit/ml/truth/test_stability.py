"""Maps change when they should, and only then: what the measures say of maps whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model import Model
from ml.recording import Recording
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target
from ml.truth.stability import (
    label_similarities,
    rank_similarity,
    similarity,
    stability,
    weight_randomisation,
)
from ml.truth.stems import Stem, mix_samples
from tests.unit.ml.relevance.small import small_model
from tests.unit.ml.truth.sounds import RATE, noise, recording, silent

seeds = st.integers(0, 2**32 - 1)
SAME = 1.0 - 1e-3


def relevance(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
    explained = explain_targets(model, inputs, [Target(label) for label in labels])
    return np.stack([evidence.maps for evidence in explained])


def loudness(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
    """A map that knows nothing of the network."""
    del model
    return np.stack([inputs for _ in labels])


@given(seeds)
def test_similarity_is_the_cosine_and_ranks_are_compared_as_ranks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, 4))
    dot = sum(x * y for x, y in zip(a.ravel(), b.ravel(), strict=True))
    lengths = np.sqrt(sum(x * x for x in a.ravel())) * np.sqrt(sum(y * y for y in b.ravel()))
    assert similarity(a, b) == pytest.approx(dot / lengths)
    ranks_a, ranks_b = (
        [sum(1.0 for other in values.ravel() if other < value) for value in values.ravel()]
        for values in (a, b)
    )
    assert rank_similarity(a, b) == pytest.approx(np.corrcoef(ranks_a, ranks_b)[0, 1])
    assert similarity(a, 3 * a) == pytest.approx(1.0)
    assert similarity(a, -a) == pytest.approx(-1.0)
    assert rank_similarity(a, np.exp(a)) == pytest.approx(1.0)


def test_empty_maps_are_like_nothing() -> None:
    some = np.ones((2, 2)).cumsum(axis=1)
    assert similarity(some, np.zeros((2, 2))) == 0.0
    assert rank_similarity(some, np.zeros((2, 2))) == 0.0


def test_labels_are_alike_where_their_evidence_lies_on_the_same_cells() -> None:
    maps = np.zeros((4, 2, 3))
    maps[0, 0] = (1.0, 2.0, -5.0)  # what speaks against a label is not its evidence
    maps[1, 0] = (2.0, 4.0, 5.0)
    maps[2, 1] = (0.0, 1.0, 0.0)
    alike = label_similarities(maps)
    np.testing.assert_allclose(alike, alike.T)
    assert np.diag(alike).tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0])  # the last has no evidence
    assert alike[0, 1] == pytest.approx(10.0 / np.sqrt(5.0 * 45.0))
    assert alike[0, 2] == alike[0, 3] == 0.0


def test_gain_changes_nothing_and_noise_changes_more(shipped: Model, together: tuple[Stem, ...]) -> None:
    mix = recording(mix_samples(together) * 0.5)
    found = stability(shipped, mix, [0, 3], relevance)
    assert len(found) == 2
    for scores in found:
        assert SAME < scores.gain <= 1.0 + 1e-6
        assert -1.0 <= scores.noise <= scores.gain
    assert found == stability(shipped, mix, [0, 3], relevance)
    assert found != stability(shipped, mix, [0, 3], relevance, seed=1)


def test_a_map_that_depends_on_level_is_found_out(shipped: Model) -> None:
    def level(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
        """Of every window something else: which, depends on what its faintest cells are."""
        del model
        rng = np.random.default_rng([int(value * 1e6) for value in inputs[:, :2, :40].ravel()])
        return rng.normal(size=(len(labels), *inputs.shape))

    (scores,) = stability(shipped, recording(noise(0.1)), [0], level)
    assert abs(scores.noise) < 0.1


def test_the_worse_of_two_gains_counts(shipped: Model) -> None:
    angles = iter([0.0, np.pi / 3, 0.0, np.pi / 2])  # original, softer, louder, noisy

    def turning(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
        del model, labels
        maps = np.zeros((1, *inputs.shape))
        angle = next(angles)
        maps[..., 0, :2] = np.cos(angle), np.sin(angle)
        return maps

    (scores,) = stability(shipped, recording(noise(0.1)), [0], turning)
    assert scores.gain == pytest.approx(0.5, abs=1e-6)
    assert scores.noise == pytest.approx(0.0, abs=1e-6)


def test_silence_is_not_stable(shipped: Model) -> None:
    (scores,) = stability(shipped, silent("A").recording, [0], relevance)
    assert (scores.gain, scores.noise) == (0.0, 0.0)


def test_silent_windows_are_not_explained(shipped: Model) -> None:
    seen: list[int] = []

    def counted(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
        seen.append(len(inputs))
        return loudness(model, inputs, labels)

    half = Recording(np.concatenate([recording(noise(0.1)).samples, np.zeros(8 * RATE, np.float32)]), RATE)
    (scores,) = stability(shipped, half, [0], counted)
    assert set(seen) == {1}
    assert scores.gain > SAME


def test_forgetting_changes_relevance_and_not_loudness() -> None:
    model = small_model("default")
    inputs = np.random.default_rng(1).random((2, 16, 64))
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    steps = weight_randomisation(model, inputs, [0, 1], relevance)
    assert [step.layer for step in steps] == [
        "head", *(f"features.conv{number}" for number in (5, 4, 3, 2, 1))
    ]  # fmt: skip
    assert all(0.0 <= step.similarity < 0.95 for step in steps)
    assert all(0.0 <= step.rank_similarity <= 1.0 for step in steps)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert steps == weight_randomisation(model, inputs, [0, 1], relevance)
    ignorant = weight_randomisation(model, inputs, [0, 1], loudness)
    assert all(step.similarity == pytest.approx(1.0) for step in ignorant)
    assert all(step.rank_similarity == pytest.approx(1.0) for step in ignorant)


def test_randomising_goes_down_from_the_head_and_keeps_every_weight() -> None:
    model = small_model("default")
    states: list[dict[str, torch.Tensor]] = []

    def watched(seen: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
        states.append({name: value.clone() for name, value in seen.network.state_dict().items()})
        return loudness(seen, inputs, labels)

    weight_randomisation(model, np.ones((1, 16, 64)), [0], watched)
    layers = ["head", *(f"features.conv{number}" for number in (5, 4, 3, 2, 1))]
    for n_done, state in enumerate(states):
        for place, layer in enumerate(layers):
            name = f"{layer}.weight"
            assert torch.equal(state[name], states[0][name]) == (place >= n_done)
            assert torch.equal(state[name].flatten().sort()[0], states[0][name].flatten().sort()[0])
