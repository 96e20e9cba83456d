"""Building an atlas: what it says is what explanations of its clips say, for any number of processes."""

from __future__ import annotations

import numpy as np
import pytest

from ml.checkpoint import SHIPPED_MODELS, read_card
from ml.concepts.atlas import Atlas, ConceptRecord, atlas_bytes
from ml.concepts.build import build_atlas
from ml.concepts.listener import Listener
from ml.concepts.recipe import reference_recipe
from ml.errors import InvalidRequestError, UnknownLayerError, UnknownMethodError
from ml.model import Model
from ml.relevance.engine import explain_targets
from ml.relevance.layer_relevance import layer_relevance
from ml.relevance.methods import method_named
from ml.relevance.target import Target
from ml.synthesis.instantiate import instantiate
from ml.synthesis.plan import ClipPlan
from tests.unit.ml.concepts.conftest import LAYER, N_CLIPS, SEED

DEFAULT = SHIPPED_MODELS / "default"
ROUNDED = 1e-4  # what an atlas leaves of relevances and shares
ROUNDED_S = 1e-3  # and of times


@pytest.fixture(scope="module")
def plans(shipped: Model) -> tuple[ClipPlan, ...]:
    return tuple(instantiate(reference_recipe(shipped.card, N_CLIPS, SEED)))


@pytest.fixture(scope="module")
def windows(plans: tuple[ClipPlan, ...]) -> list[np.ndarray]:
    listener = Listener(DEFAULT, "", "cpu", "alpha2-beta1", (LAYER,), "FluidR3_GM")
    return [listener.window(plan) for plan in plans]


def targets_of(plan: ClipPlan, model: Model) -> list[Target]:
    return [Target(model.card.labels.index(stem.instrument)) for stem in plan.stems]


def strongest_concepts(atlas: Atlas) -> list[ConceptRecord]:
    return sorted(atlas.layer(LAYER).concepts, key=lambda concept: -concept.share)[:4]


def test_references_are_where_explanations_use_a_channel_most(
    atlas: Atlas, shipped: Model, plans: tuple[ClipPlan, ...], windows: list[np.ndarray]
) -> None:
    by_clip = [
        layer_relevance(shipped, window, targets_of(plan, shipped), method_named(atlas.method), LAYER)
        for plan, window in zip(plans, windows, strict=True)
    ]
    for concept in strongest_concepts(atlas):
        values = [relevance[:, concept.channel].sum(axis=0) for relevance in by_clip]  # (height, width) each
        order = [clip for clip in np.argsort([-value.max() for value in values]) if values[clip].max() > 0]
        assert [each.clip for each in concept.references] == order
        for each in concept.references:
            assert values[each.clip][each.row, each.column] == values[each.clip].max()
            assert each.relevance == pytest.approx(values[each.clip].max(), abs=ROUNDED)
            parts = by_clip[each.clip][:, concept.channel, each.row, each.column]
            assert each.stem == parts.argmax()


def test_moments_are_when_the_concepts_map_is_strongest(
    atlas: Atlas, shipped: Model, plans: tuple[ClipPlan, ...], windows: list[np.ndarray]
) -> None:
    """In the whole map of a solo's strongest concept; other positions add to it but cannot take away much."""
    clip = next(index for index, plan in enumerate(plans) if len(plan.stems) == 1)
    (evidence,) = explain_targets(
        shipped, windows[clip][None], targets_of(plans[clip], shipped), 1, method=method_named(atlas.method)
    )
    whole = np.maximum(evidence.concept_maps[0, 0], 0.0).sum(axis=0)
    concept = atlas.concept(LAYER, evidence.strongest[0])
    reference = next(each for each in concept.references if each.clip == clip)
    start_s, end_s = atlas.layer(LAYER).times_s[reference.column]
    times_s = shipped.mel.times_s(len(whole))
    at = int(np.abs(times_s - reference.moment_s).argmin())
    assert start_s - ROUNDED_S <= reference.moment_s <= end_s + ROUNDED_S
    assert whole[at] >= 0.5 * whole[(times_s >= start_s) & (times_s <= end_s)].max()


@pytest.mark.slow
def test_any_number_of_processes_makes_the_same_atlas(atlas: Atlas) -> None:
    again = build_atlas(DEFAULT, n_clips=N_CLIPS, seed=SEED, layers=[LAYER], n_jobs=2)
    assert atlas_bytes(again) == atlas_bytes(atlas)


def test_every_channel_is_accounted_for(atlas: Atlas, shipped: Model) -> None:
    concepts = atlas.layer(LAYER).concepts
    assert [concept.channel for concept in concepts] == list(range(256))
    assert sum(concept.share for concept in concepts) == pytest.approx(1.0, abs=256 * ROUNDED)
    for concept in concepts:
        assert (concept.status in ("against", "dead")) == (not concept.references)
        assert concept.name is None  # of two clips nothing can be said
    assert {each.clip for concept in concepts for each in concept.references} == {
        clip.clip for clip in atlas.clips
    }
    assert atlas.left_out == ()
    assert atlas.model_sha256 == shipped.card.sha256


def test_progress_ends_with_all() -> None:
    seen: list[tuple[int, int]] = []
    build_atlas(
        DEFAULT,
        n_clips=1,
        seed=SEED,
        layers=["features.conv1"],
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"n_clips": 0}, InvalidRequestError, "0 clips"),
        ({"seed": -1}, InvalidRequestError, "-1"),
        ({"layers": ["features.norm1"]}, UnknownLayerError, "norm1"),
        ({"method": "magic"}, UnknownMethodError, "magic"),
    ],
)
def test_what_cannot_be_built(asked: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build_atlas(DEFAULT, **asked)  # type: ignore[arg-type]


def test_labels_that_cannot_be_synthesised() -> None:
    card = read_card(DEFAULT)
    partly = card.model_copy(update={"labels": ("Violin", "Kazoo"), "dataset": {}})
    recipe = reference_recipe(partly)
    assert recipe.labels == ("Violin",)
    assert {len(plan.stems) for plan in instantiate(recipe, range(20))} == {1}
    with pytest.raises(InvalidRequestError, match="Kazoo"):
        reference_recipe(card.model_copy(update={"labels": ("Kazoo",), "dataset": {}}))


def test_instruments_of_the_models_own_recipe_play() -> None:
    flute = {
        "name": "Flute",
        "program": 73,
        "bank": 0,
        "pitch_range": [60, 96],
        "max_voices": 1,
        "family": "winds",
    }
    own = {"labels": ("Flute", "Violin"), "dataset": {"recipe": {"instruments": [flute, "Violin"]}}}
    recipe = reference_recipe(read_card(DEFAULT).model_copy(update=own))
    assert [instrument.program for instrument in recipe.vocabulary] == [73, 40]
