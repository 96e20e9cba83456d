"""What is told of a model's concepts, and that it stays where the API finds it."""

import json
import time
from pathlib import Path

import pytest
from redis import Redis

from ml.concepts.atlas import ATLAS_NAME, atlas_bytes
from ml.errors import MissingAtlasError, UnknownConceptError
from service.documents.concept_schemas import AtlasDocument, ConceptDocument
from tests.unit.worker.atlas_made import LAYER, shipped_card, small_atlas
from worker import keys, presence
from worker.atlases import Atlases
from worker.catalog import Catalog, model_from_card
from worker.concepts import atlas_of, concept_path, documents_of
from worker.host import ModelHost, announced_atlases
from worker.settings import WorkerSettings

CARD = shipped_card()
DOCUMENTS = documents_of(CARD, small_atlas())
SHA256 = CARD.sha256


@pytest.fixture
def atlases(redis: Redis) -> Atlases:
    kept = Atlases(redis)
    kept.keep(DOCUMENTS)
    return kept


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    """Those of a worker whose only model has the small atlas."""
    shipped = WorkerSettings().models_dir / "default"
    folder = tmp_path / "models" / "default"
    folder.mkdir(parents=True)
    for file in shipped.iterdir():
        if file.name != ATLAS_NAME:
            (folder / file.name).symlink_to(file)
    (folder / ATLAS_NAME).write_bytes(atlas_bytes(small_atlas()))
    return WorkerSettings(device="cpu", state_dir=tmp_path, models_dir=folder.parent)


def test_the_whole_atlas_is_told_in_short(atlases: Atlases) -> None:
    told = atlases.overview("default", SHA256)
    assert AtlasDocument.model_validate(told).model_dump(mode="json", by_alias=True) == told
    assert told["model"] == {"id": "default", "sha256": SHA256}
    (layer,) = told["layers"]
    assert (layer["layer"], layer["n_channels"]) == (LAYER, 2)
    named, dead = layer["concepts"]
    assert (named["name"], named["purity"], named["n_references"]) == ("Violin, sustained", 0.85, 2)
    assert named["links"] == {"self": "/models/default/concepts/features.conv5/0"}
    assert (dead["status"], dead["name"], dead["purity"], dead["n_references"]) == ("dead", None, None, 0)


def test_a_concept_is_told_with_its_references(atlases: Atlases) -> None:
    told = atlases.concept("default", SHA256, LAYER, 0)
    assert ConceptDocument.model_validate(told).model_dump(mode="json", by_alias=True) == told
    first, second = told["references"]
    path = concept_path("default", LAYER, 0)
    assert first == {
        "reference": 0,
        "clip": 7,
        "instrument": "Violin",
        "relevance": 2.5,
        "moment_s": 3.1,
        "start_s": 2.75,
        "end_s": 3.25,
        "low_hz": 20.0,
        "high_hz": 16_000.0,
        "notes": [
            {"instrument": "Trumpet", "pitch": 66, "velocity": 80, "start_s": 3.0, "end_s": 3.5},
            {"instrument": "Violin", "pitch": 78, "velocity": 80, "start_s": 3.0, "end_s": 3.5},
        ],
        "wav": f"{path}/references/0.wav",
        "png": f"{path}/references/0.png",
    }
    assert second["instrument"] == "Trumpet"
    assert [note["start_s"] for note in second["notes"]] == [0.0, 0.0]
    assert atlases.concept("default", SHA256, LAYER, 1)["references"] == []


def test_what_is_not_there_is_named(atlases: Atlases) -> None:
    for asked in (("winds", SHA256), ("default", "00" * 32)):
        with pytest.raises(MissingAtlasError, match="has no atlas"):
            atlases.overview(*asked)
        with pytest.raises(MissingAtlasError):
            atlases.concept(*asked, LAYER, 0)
    with pytest.raises(UnknownConceptError, match=r"no layer 'features\.conv9'") as layer:
        atlases.concept("default", SHA256, "features.conv9", 0)
    assert layer.value.extra == {"unknown": "features.conv9", "available": [LAYER]}
    with pytest.raises(UnknownConceptError, match="no channel 2; it has 0 to 1") as channel:
        atlases.concept("default", SHA256, LAYER, 2)
    assert channel.value.extra == {"unknown": 2, "n_channels": 2}


def test_keeping_it_again_keeps_it_longer(redis: Redis, atlases: Atlases) -> None:
    key = keys.atlas("default", SHA256)
    redis.pexpire(key, 1_000)
    redis.hset(key, "mark", "still the same")
    atlases.keep(DOCUMENTS)
    assert redis.pttl(key) > 80_000_000
    assert redis.hget(key, "mark") == b"still the same"


def test_a_redis_that_forgets_is_told_again(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, settings: WorkerSettings
) -> None:
    monkeypatch.setattr(presence, "HEARTBEAT_S", 0.02)
    catalog = Catalog(redis)
    model = model_from_card(CARD.model_dump(mode="json"))
    process = presence.Presence(catalog, "one", [model], announced_atlases(settings))
    process.start()
    try:
        for _ in range(2):
            deadline = time.monotonic() + 5.0
            while not redis.exists(keys.atlas("default", SHA256)):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert catalog.atlases.overview("default", SHA256)["left_out"] == ["Celesta"]
            redis.flushall()
    finally:
        process.stop()


def test_a_worker_has_the_atlases_of_its_models(settings: WorkerSettings, redis: Redis) -> None:
    host = ModelHost(settings, Catalog(redis))
    assert host.atlas(host.default) == small_atlas()
    assert announced_atlases(settings) == (DOCUMENTS,)


@pytest.mark.parametrize("damage", ["missing", "not JSON", "of other weights"])
def test_a_model_can_do_without_an_atlas(settings: WorkerSettings, redis: Redis, damage: str) -> None:
    path = settings.models_dir / "default" / ATLAS_NAME
    if damage == "missing":
        path.unlink()
    elif damage == "not JSON":
        path.write_text("{")
    else:
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "model_sha256": "00" * 32}))
    assert atlas_of(path.parent) is None
    assert announced_atlases(settings) == ()
    host = ModelHost(settings, Catalog(redis))
    assert host.atlas(host.default) is None
