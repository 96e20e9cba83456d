"""The models that workers announce."""

import time
from dataclasses import replace

import pytest
from redis import Redis

from ml.errors import UnknownInstrumentError, UnknownLayerError, UnknownModelError
from worker import keys, presence
from worker.catalog import Catalog, PublishedModel, model_from_card
from worker.errors import NoWorkerError


def model(name: str) -> PublishedModel:
    return model_from_card(
        {
            "id": name,
            "sha256": "00" * 32,
            "task": "instruments",
            "labels": ["Violin", "Trumpet"],
            "thresholds": {"Violin": 0.5, "Trumpet": 0.4},
            "metrics": {"macro_f1": 0.97},
        }
    )


@pytest.fixture
def catalog(redis: Redis) -> Catalog:
    return Catalog(redis)


def test_nobody_was_ever_there(catalog: Catalog) -> None:
    assert catalog.workers() == ()
    with pytest.raises(NoWorkerError):
        catalog.models()


def test_what_is_announced_is_found(catalog: Catalog) -> None:
    catalog.announce("one", [model("default"), model("reference")])
    assert catalog.models() == (model("default"), model("reference"))
    assert catalog.model("default").card["metrics"] == {"macro_f1": 0.97}
    assert [worker.name for worker in catalog.workers()] == ["one"]


def test_only_what_present_workers_serve(catalog: Catalog) -> None:
    catalog.announce("one", [model("default"), model("old")])
    catalog.announce("two", [model("default"), model("new")])
    catalog.withdraw("one")
    assert [each.id for each in catalog.models()] == ["default", "new"]


def test_models_outlast_a_restart(catalog: Catalog) -> None:
    catalog.announce("one", [model("default")])
    catalog.withdraw("one")
    assert catalog.workers() == ()
    assert [each.id for each in catalog.models()] == ["default"]


def test_a_workers_processes_are_withdrawn_together(catalog: Catalog) -> None:
    for name in ("host/1/2", "host/1/3", "host/11/4"):
        catalog.announce(name, [model("default")])
    catalog.withdraw_all("host/1/")
    assert [worker.name for worker in catalog.workers()] == ["host/11/4"]


def test_a_process_announces_itself_until_it_stops(
    redis: Redis, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "HEARTBEAT_S", 0.02)
    process = presence.Presence(catalog, presence.process_name(), [model("default")])
    process.start()
    for _ in range(2):
        deadline = time.monotonic() + 5.0
        while not catalog.workers():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        redis.flushall()  # as a Redis does that keeps nothing and is started anew
    process.stop()
    assert catalog.workers() == ()


def test_a_process_that_never_was_ready_can_be_stopped(catalog: Catalog) -> None:
    presence.Presence(catalog, "one", []).stop()


def test_a_worker_that_falls_silent_is_gone(redis: Redis, catalog: Catalog) -> None:
    catalog.announce("one", [model("default")])
    assert 0 < redis.pttl(keys.worker("one")) <= 20_000


def test_unknown_names_are_answered_with_the_known_ones(catalog: Catalog) -> None:
    catalog.announce("one", [model("default")])
    with pytest.raises(UnknownModelError) as unknown_model:
        catalog.model("best")
    assert unknown_model.value.extra == {"unknown": "best", "available": ["default"]}
    with pytest.raises(UnknownInstrumentError) as unknown_instrument:
        catalog.model("default").require_instruments(["Violin", "Kazoo"])
    with pytest.raises(UnknownLayerError) as unknown_layer:
        replace(model("default"), layers=("conv1", "conv2")).require_layer("conv3")
    assert unknown_layer.value.extra == {"unknown": "conv3", "available": ["conv1", "conv2"]}
    assert unknown_instrument.value.extra == {"unknown": ["Kazoo"], "available": ["Violin", "Trumpet"]}
