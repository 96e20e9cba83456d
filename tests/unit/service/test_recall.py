"""The result cache over HTTP: the same question is answered at once, to who has asked it before."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post, wav
from worker.artifacts import ArtifactStore
from worker.catalog import Catalog
from worker.jobs import artifact_path
from worker.store import JobStore

SOUND = b"what was analysed"
ANY: Mapping[str, str] = {"Cache-Control": "max-age=3600"}  # in place of what the tests' client says


@pytest.fixture
def files(redis_url: str) -> ArtifactStore:
    return ArtifactStore(Redis.from_url(redis_url))


def ask(api: httpx.Client, call: str = "/explain", **more: Any) -> httpx.Response:
    """Asks with nothing against an earlier answer."""
    return post(api, call, **{**more, "headers": {**ANY, **more.get("headers", {})}})


def answer(store: JobStore, files: ArtifactStore, asked: httpx.Response) -> dict[str, Any]:
    """The worker's part."""
    assert asked.status_code == 202, asked.text
    job_id = asked.json()["id"]
    store.begin(job_id, "mine", max_attempts=3)
    files.put(job_id, "mine", "audio.wav", "audio/wav", SOUND)
    wav_path = artifact_path(job_id, "audio.wav")
    store.succeed(job_id, "mine", {"instruments": [], "timeline": [], "audio": {"wav": wav_path}})
    job: dict[str, Any] = asked.json()
    return job


def test_the_same_question_is_answered_at_once(
    api: httpx.Client, store: JobStore, files: ArtifactStore
) -> None:
    earlier = answer(store, files, ask(api))
    assert earlier["cached"] is False
    again = ask(api, name="again.wav")
    assert again.status_code == 200
    job = again.json()
    assert again.headers["location"] == job["links"]["self"] != earlier["links"]["self"]
    assert (job["status"], job["cached"]) == ("succeeded", True)
    assert job["input"] == {**earlier["input"], "filename": "again.wav"}
    assert job["result"]["audio"]["wav"] == f"/jobs/{job['id']}/artifacts/audio.wav"
    api.delete(earlier["links"]["self"])
    assert api.get(job["result"]["audio"]["wav"]).content == SOUND
    assert api.get(job["links"]["self"]).json() == job
    assert 'outcome="hit"} 1.0' in api.get("/metrics").text
    events = api.get(job["links"]["events"]).text
    assert events.count("event: job") == 1
    assert '"status": "succeeded"' in events


@pytest.mark.parametrize(
    "spelled_out",
    [
        {"concepts": "5"},
        {"method": "alpha2-beta1"},
        {"layer": "features.conv2"},
        {"model": "default"},
        {"start_s": "0"},
    ],
)
def test_defaults_make_no_difference(
    api: httpx.Client, store: JobStore, files: ArtifactStore, spelled_out: dict[str, str]
) -> None:
    answer(store, files, ask(api))
    assert ask(api, fields=spelled_out).json()["cached"] is True


@pytest.mark.parametrize(
    "other",
    [
        {"data": wav(1.5)},
        {"call": "/classify"},
        {"fields": {"concepts": "4"}},
        {"fields": {"threshold": "0.5"}},
        {"fields": {"method": "epsilon"}},
        {"fields": {"layer": "features.conv1"}},
        {"fields": {"instruments": "Violin"}},
        {"fields": {"instruments": "Violin", "contrast": "Trumpet"}},
        {"fields": {"start_s": "0.5"}},
        {"fields": {"duration_s": "0.5"}},
        {"fields": {"engine": "zennit"}},
    ],
    ids=str,
)
def test_another_question_is_not(
    api: httpx.Client, store: JobStore, files: ArtifactStore, other: dict[str, Any]
) -> None:
    answer(store, files, ask(api))
    assert ask(api, **other).status_code == 202


def test_another_model_is_another_question(
    api: httpx.Client, store: JobStore, files: ArtifactStore, models: Catalog
) -> None:
    answer(store, files, ask(api))
    (model,) = models.models()
    for changed in ({"sha256": "cd" * 32}, {"card": {**model.card, "thresholds": {"Violin": 0.1}}}):
        models.announce("worker", [replace(model, **changed)])
        assert ask(api).status_code == 202
    models.announce("worker", [model])
    assert ask(api).json()["cached"] is True


@pytest.mark.parametrize("wish", ["no-cache", "No-Store", "max-age=0", "foo, no-cache"])
def test_who_wants_it_anew_gets_it_anew(
    api: httpx.Client, store: JobStore, files: ArtifactStore, wish: str
) -> None:
    answer(store, files, ask(api))
    asked = ask(api, headers={"Cache-Control": wish})
    anew = answer(store, files, asked)
    api.delete(anew["links"]["self"])
    # What was computed anew answers later requests, unless it was not to be kept.
    assert ask(api).status_code == (200 if "store" in wish.lower() else 202)


def test_without_the_cache(
    start_api: StartApi, models: Catalog, store: JobStore, files: ArtifactStore
) -> None:
    api = start_api(result_cache=False)
    answer(store, files, ask(api))
    assert ask(api).status_code == 202


def test_nobody_is_told_what_others_asked(
    start_api: StartApi, models: Catalog, store: JobStore, files: ArtifactStore
) -> None:
    api = start_api(admin_key="secret")
    admin = {"Authorization": "Bearer secret"}
    answer(store, files, ask(api, headers=admin))
    assert ask(api).status_code == 202
    assert ask(api, headers=admin).json()["cached"] is True


def test_a_full_queue_does_not_matter(
    start_api: StartApi, models: Catalog, store: JobStore, files: ArtifactStore
) -> None:
    api = start_api(max_queued_interactive=1)
    answer(store, files, ask(api))
    assert ask(api, data=wav(1.5)).status_code == 202
    assert_problem(ask(api, data=wav(2.0)), 503, "queue-full")
    assert ask(api).json()["cached"] is True


def test_a_deleted_answer_is_computed_again(api: httpx.Client, store: JobStore, files: ArtifactStore) -> None:
    earlier = answer(store, files, ask(api))
    api.delete(earlier["links"]["self"])
    assert ask(api).status_code == 202


def test_with_an_idempotency_key(api: httpx.Client, store: JobStore, files: ArtifactStore) -> None:
    answer(store, files, ask(api))
    key = {"Idempotency-Key": "mine"}
    first, again = ask(api, headers=key), ask(api, headers=key)
    assert first.json()["cached"] is True
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert_problem(ask(api, headers=key, name="other.wav"), 422, "idempotency-key-reused")
    api.delete(first.json()["links"]["self"])
    # With the job its key is free, and the answer, of which it was the latest, has to be found out again.
    assert ask(api, headers=key, name="other.wav").status_code == 202


def test_with_a_wait(api: httpx.Client, store: JobStore, files: ArtifactStore) -> None:
    answer(store, files, ask(api))
    again = ask(api, headers={"Prefer": "wait=20"})
    assert (again.status_code, again.headers["preference-applied"]) == (200, "wait=20")
    assert again.json()["cached"] is True


def test_a_check_is_a_question_too(api: httpx.Client, store: JobStore, files: ArtifactStore) -> None:
    stems = [("stem", (name, wav(duration_s))) for name, duration_s in (("a.wav", 1.0), ("b.wav", 1.0))]

    def check(order: list[str]) -> httpx.Response:
        fields = {"instrument": order}
        return api.post("/explain/check", files=stems, data=fields, headers=dict(ANY))

    answer(store, files, check(["Violin", "Trumpet"]))
    again = check(["Violin", "Trumpet"]).json()
    assert again["cached"] is True
    assert [stem["recording"]["filename"] for stem in again["stems"]] == ["a.wav", "b.wav"]
    assert check(["Trumpet", "Violin"]).status_code == 202


def test_a_full_store_is_a_problem(
    api: httpx.Client, store: JobStore, files: ArtifactStore, redis_url: str
) -> None:
    answer(store, files, ask(api))
    redis = Redis.from_url(redis_url)
    redis.config_set("maxmemory", 1)
    try:
        refused = ask(api)
    finally:
        redis.config_set("maxmemory", 0)
    assert_problem(refused, 503, "store-unavailable")
    assert len(api.get("/jobs").json()["jobs"]) == 1
    assert ask(api).json()["cached"] is True
