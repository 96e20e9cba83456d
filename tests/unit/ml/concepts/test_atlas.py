"""The atlas file: what is written is read, notes to the tick; what does not fit is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ml.checkpoint import SHIPPED_MODELS, ModelCard, read_card
from ml.concepts.atlas import (
    ATLAS_NAME,
    Atlas,
    InvalidAtlasError,
    atlas_bytes,
    read_atlas,
)
from ml.concepts.clip_record import ClipRecord
from ml.concepts.recipe import reference_recipe
from ml.errors import MissingAtlasError, UnknownConceptError
from ml.synthesis.effects.plans import EffectsPlan
from ml.synthesis.instantiate import instantiate
from tests.unit.ml.concepts.conftest import LAYER


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_card(SHIPPED_MODELS / "default")


def test_an_atlas_survives_storage(atlas: Atlas, card: ModelCard, tmp_path: Path) -> None:
    (tmp_path / ATLAS_NAME).write_bytes(atlas_bytes(atlas))
    assert read_atlas(tmp_path, card) == atlas
    json.loads(atlas_bytes(atlas))


def test_clips_are_kept_as_they_are_played(card: ModelCard) -> None:
    for clip, plan in enumerate(instantiate(reference_recipe(card, n_clips=50, seed=8))):
        kept = ClipRecord.of(clip, plan)
        read = ClipRecord.model_validate_json(kept.model_dump_json()).plan("FluidR3_GM")
        assert replace(read, clip_id=plan.clip_id) == plan


def test_effects_cannot_be_kept(card: ModelCard) -> None:
    plan = replace(next(instantiate(reference_recipe(card, n_clips=1))), effects=EffectsPlan())
    with pytest.raises(ValueError, match="effects"):
        ClipRecord.of(0, plan)


def test_a_model_without_an_atlas_says_what_makes_one(card: ModelCard, tmp_path: Path) -> None:
    with pytest.raises(MissingAtlasError, match="timbrescope concepts"):
        read_atlas(tmp_path, card)


@pytest.mark.parametrize("data", [b"", b"{", b'{"format_version": 2}', b"\xff\xfe"])
def test_damaged_atlases_are_refused(card: ModelCard, tmp_path: Path, data: bytes) -> None:
    (tmp_path / ATLAS_NAME).write_bytes(data)
    with pytest.raises(InvalidAtlasError, match=r"concepts\.json is not valid"):
        read_atlas(tmp_path, card)


def test_an_atlas_of_other_weights_is_refused(atlas: Atlas, card: ModelCard, tmp_path: Path) -> None:
    (tmp_path / ATLAS_NAME).write_bytes(atlas_bytes(atlas))
    with pytest.raises(InvalidAtlasError, match="0000000000000000"):
        read_atlas(tmp_path, card.model_copy(update={"sha256": "0" * 64}))


def test_what_an_atlas_does_not_have_is_named(atlas: Atlas) -> None:
    with pytest.raises(UnknownConceptError, match="conv9") as layer:
        atlas.layer("features.conv9")
    assert layer.value.extra == {"unknown": "features.conv9", "available": [LAYER]}
    for channel in (-1, 256):
        with pytest.raises(UnknownConceptError, match=str(channel)) as concept:
            atlas.concept(LAYER, channel)
        assert concept.value.extra == {"unknown": channel, "available": [0, 255]}
    n_references = len(atlas.concept(LAYER, 0).references)
    for place in (-1, n_references):
        with pytest.raises(UnknownConceptError, match=str(place)):
            atlas.reference(LAYER, 0, place)
