"""`POST /datasets` and `POST /trainings`: who may, what is refused, and what becomes a job."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.settings import ServiceSettings
from tests.unit.service.conftest import ANEW, CARD, StartApi, serving
from tests.unit.service.requests_made import assert_problem, post
from worker.catalog import Catalog, model_from_card
from worker.ids import new_job_id
from worker.progress import EpochMetrics, Progress
from worker.questions import ModelRef
from worker.store import JobStore

KEY = "a-key-for-tests"
BEARER = {"Authorization": f"Bearer {KEY}"}
RECIPE: dict[str, Any] = {
    "name": "winds",
    "n_clips": 10,
    "instruments": ["Trumpet", "Piccolo"],
    "instruments_per_clip": [1],
}


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def url(redis_server: str, state_dir: Path) -> Iterator[str]:
    """An API whose operator has a key."""
    with serving(
        ServiceSettings(redis_url=redis_server, port=0, admin_key=KEY, state_dir=state_dir)
    ) as served:
        yield served


@pytest.fixture
def admin(url: str, models: Catalog) -> Iterator[httpx.Client]:
    """A client that sends the admin key."""
    with httpx.Client(base_url=url, timeout=60.0, headers={**ANEW, **BEARER}) as client:
        yield client


def order(admin: httpx.Client, **fields: Any) -> httpx.Response:
    return admin.post("/datasets", json={"recipe": RECIPE, **fields})


def train(admin: httpx.Client, **fields: Any) -> httpx.Response:
    return admin.post("/trainings", json={"dataset": "nothing", "model_id": "winds", **fields})


def fields_of(problem: dict[str, Any]) -> list[str]:
    return [fault["field"] for fault in problem["errors"]]


@pytest.mark.parametrize("call", ["/datasets", "/trainings"])
@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, "Bearer"),
        ("Basic YTpi", "Bearer"),
        (f"Bearer {KEY}x", 'Bearer error="invalid_token"'),
        (f"Bearer {KEY[:-1]}", 'Bearer error="invalid_token"'),
        ("Bearer", 'Bearer error="invalid_token"'),
    ],
)
def test_nobody_passes_without_the_key(
    url: str, redis_url: str, call: str, header: str | None, challenge: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.post(f"{url}{call}", json={}, headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == challenge
    assert KEY not in answer.text


def test_the_key_needs_no_certain_case(admin: httpx.Client) -> None:
    admin.headers["Authorization"] = f"bearer  {KEY}"
    assert order(admin).status_code == 202


def test_a_data_set_job(admin: httpx.Client, state_dir: Path) -> None:
    answer = order(admin, stems=True)
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/jobs/{job['id']}")
    assert (job["kind"], job["status"], job["progress"]["queue_position"]) == ("dataset", "queued", 1)
    assert (job["input"], job["model"], job["result"], job["error"]) == (None, None, None, None)
    assert job["order"]["url"] == f"{state_dir}/datasets/winds"
    assert (job["order"]["audio"], job["order"]["stems"]) == (True, True)
    assert job["order"]["recipe"]["n_clips"] == 10
    assert job["order"]["recipe"]["clip_duration_s"] == 5.0
    assert "stopping" not in job
    assert admin.get(f"/jobs/{job['id']}").json() == job


@pytest.mark.parametrize("media_type", ["application/yaml", "application/x-yaml; charset=utf-8", "text/yaml"])
def test_yaml_is_taken_as_well(admin: httpx.Client, media_type: str) -> None:
    body = yaml.safe_dump({"recipe": RECIPE, "name": "other"})
    answer = admin.post("/datasets", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 202
    assert answer.json()["order"]["url"].endswith("/datasets/other")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"n_clips": 0}, ["recipe.n_clips"]),
        ({"instruments": ["Kazoo"]}, ["recipe.instruments"]),
        ({"melody": {"velocity": [90, 80]}}, ["recipe.melody.velocity"]),
        ({"n_clip": 5, "level_db": [3, -3]}, ["recipe.level_db", "recipe.n_clip"]),
        ({"soundfonts": {"train": ["A", "B"], "validation": ["B"]}}, ["recipe.soundfonts"]),
        ({"soundfonts": []}, ["recipe.soundfonts"]),
    ],
    ids=["no clips", "unknown instrument", "empty range", "two faults", "validation bank", "no bank"],
)
def test_bad_recipes_are_refused_by_field(
    admin: httpx.Client, change: dict[str, Any], fields: list[str]
) -> None:
    problem = assert_problem(order(admin, recipe={**RECIPE, **change}), 422, "invalid-recipe")
    assert sorted(fields_of(problem)) == fields
    assert admin.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"melody": {"source": "generator", "command": ["touch", "{out}"]}}, "recipe.melody.command"),
        ({"melody": [{}, {"source": "phrases", "folder": "/etc"}]}, "recipe.melody.1.folder"),
        ({"soundfonts": ["/etc/passwd"]}, "recipe.soundfonts"),
        ({"soundfonts": ["../../etc/passwd"]}, "recipe.soundfonts"),
        (
            {"melody": {"source": "phrases", "corpus": "music21", "max_files": 1001}},
            "recipe.melody.max_files",
        ),
        (
            {"melody": {"source": "phrases", "corpus": "music21"}, "n_clips": 100_001},
            "recipe.n_clips",
        ),
        ({"n_clips": 1, "validation_share": 0.1}, "recipe.validation_share"),
    ],
    ids=["command", "folder", "path", "way up", "many scores", "many clips of scores", "empty part"],
)
def test_what_only_the_operator_may_ask_for_is_refused_by_field(
    admin: httpx.Client, change: dict[str, Any], field: str
) -> None:
    problem = assert_problem(order(admin, recipe={**RECIPE, **change}), 422, "invalid-recipe")
    assert fields_of(problem) == [field]
    assert problem["errors"][0].keys() == {"field", "message"}


def test_a_data_set_without_validation_clips_is_refused_when_it_is_asked_for(admin: httpx.Client) -> None:
    problem = assert_problem(order(admin, recipe={**RECIPE, "n_clips": 2}), 422, "invalid-recipe")
    assert "validation_share: 0.2 of 2 clips are none" in problem["detail"]
    assert admin.get("/jobs").json()["jobs"] == []


def test_unknown_fields_of_a_recipe_are_told_the_known_ones(admin: httpx.Client) -> None:
    problem = assert_problem(order(admin, recipe={**RECIPE, "n_clip": 5}), 422, "invalid-recipe")
    assert problem["detail"].startswith(
        "recipe.n_clip: unknown field; known: name, description, seed, n_clips"
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"url": "/etc/winds"}, "url"),
        ({"url": "s3://bucket/winds"}, "url"),
        ({"name": "../winds"}, "name"),
        ({"name": ".."}, "name"),
        ({"stems": True, "audio": False}, "stems"),
        ({"stem": True}, "stem"),
        ({"audio": "perhaps"}, "audio"),
        ({"audio": 1}, "audio"),
        ({"stems": 0}, "stems"),
    ],
)
def test_bad_orders_are_refused_by_field(admin: httpx.Client, fields: dict[str, Any], named: str) -> None:
    problem = assert_problem(order(admin, **fields), 422, "invalid-request")
    assert fields_of(problem) == [named]


def test_a_way_up_is_refused(admin: httpx.Client, state_dir: Path) -> None:
    problem = assert_problem(order(admin, url=f"{state_dir}/datasets/../winds"), 422, "invalid-request")
    assert fields_of(problem) == ["url"]


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nrecipe: [*b, *b]\n"


@pytest.mark.parametrize(
    ("media_type", "body", "status", "code"),
    [
        ("text/plain", "{}", 415, "unsupported-body"),
        ("", "{}", 415, "unsupported-body"),
        ("application/json", "{", 422, "invalid-request"),
        ("application/json", "[" * 100_000, 422, "invalid-request"),
        ("application/json", "[]", 422, "invalid-request"),
        ("application/json", "\xff\xfe", 422, "invalid-request"),
        ("application/json", " " * 1_000_001, 413, "body-too-large"),
        ("application/yaml", "a: [", 422, "invalid-request"),
        ("application/yaml", "- " * 100_000, 422, "invalid-request"),
        ("application/yaml", BOMB, 422, "invalid-request"),
        ("application/yaml", "recipe: !!python/object/apply:os.system [id]", 422, "invalid-request"),
        ("application/yaml", "recipe: 2026-99-99", 422, "invalid-request"),
    ],
)
def test_bodies_that_are_none(
    admin: httpx.Client, media_type: str, body: str, status: int, code: str
) -> None:
    content = body.encode("latin-1")
    answer = admin.post("/datasets", content=content, headers={"Content-Type": media_type})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{code}"), problem
    assert len(problem["detail"]) < 1_000


def test_who_orders_the_same_again_gets_the_same_job(admin: httpx.Client) -> None:
    first = order(admin).json()
    assert order(admin).json()["id"] == first["id"]
    problem = assert_problem(order(admin, recipe={**RECIPE, "seed": 7}), 409, "place-taken")
    assert problem["job"] == first["id"]
    assert order(admin, name="elsewhere", recipe={**RECIPE, "seed": 7}).status_code == 202
    assert admin.delete(f"/jobs/{first['id']}").json()["status"] == "cancelled"
    assert order(admin, recipe={**RECIPE, "seed": 7}).status_code == 202


def test_jobs_of_operators_are_not_there_for_others(admin: httpx.Client, store: JobStore) -> None:
    plain = httpx.Client(base_url=admin.base_url, timeout=60.0)
    other = post(plain).json()["id"]
    job = order(admin).json()["id"]
    listed = [entry["id"] for entry in plain.get("/jobs").json()["jobs"]]
    assert listed == [other]
    assert [entry["id"] for entry in admin.get("/jobs").json()["jobs"]] == [job, other]
    for call in ("", "/events", "/artifacts/manifest.json"):
        assert_problem(plain.get(f"/jobs/{job}{call}"), 404, "unknown-job")
    assert_problem(plain.delete(f"/jobs/{job}"), 404, "unknown-job")
    absent = plain.get(f"/jobs/{new_job_id()}").json()
    assert set(absent) == set(plain.get(f"/jobs/{job}").json())
    assert store.get(job).status == "queued"
    plain.close()


def test_pages_go_past_what_is_hidden(admin: httpx.Client) -> None:
    plain = httpx.Client(base_url=admin.base_url, timeout=60.0)
    visible = []
    for number in range(3):
        visible.append(post(plain).json()["id"])
        for _ in range(4):
            order(admin, name=f"set-{number}-{_}")
    seen, path = [], "/jobs?limit=2"
    while path:
        page = plain.get(path).json()
        seen += [entry["id"] for entry in page["jobs"]]
        path = page["next"]
    assert seen == visible[::-1]
    plain.close()


def test_so_many_may_wait(start_api: StartApi, models: Catalog, tmp_path: Path) -> None:
    admin = start_api(admin_key=KEY, state_dir=tmp_path, max_queued_batch=1)
    admin.headers.update(BEARER)
    assert order(admin).status_code == 202
    assert_problem(order(admin, name="second"), 503, "queue-full")
    assert post(admin).status_code == 202  # what people wait for has a bound of its own


def finished_data_set(admin: httpx.Client, store: JobStore) -> dict[str, Any]:
    job: dict[str, Any] = order(admin).json()
    store.begin(job["id"], "mine", max_attempts=3)
    store.succeed(
        job["id"],
        "mine",
        {"url": "x", "digest": "d", "n_clips": 1, "n_shards": 1, "labels": [], "manifest": "m"},
    )
    return job


def test_a_training_job(admin: httpx.Client, store: JobStore) -> None:
    data_set = finished_data_set(admin, store)
    answer = train(admin, dataset=data_set["id"], config={"n_epochs": 2})
    job = answer.json()
    assert (answer.status_code, job["kind"]) == (202, "training")
    assert job["order"]["dataset_url"] == data_set["order"]["url"]
    assert (job["order"]["model_id"], job["order"]["overwrite"]) == ("winds", False)
    assert job["order"]["config"]["n_epochs"] == 2
    assert job["order"]["config"]["network"] == "default"
    by_url = train(admin, dataset=data_set["order"]["url"], model_id="winds-2")
    assert by_url.json()["order"]["dataset_url"] == data_set["order"]["url"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"config": {"n_epoch": 3}}, "config.n_epoch"),
        ({"config": {"n_epochs": 0}}, "config.n_epochs"),
        ({"config": {"network": "best"}}, "config.network"),
        ({"config": {"n_epochs": True}}, "config.n_epochs"),
        ({"config": {"n_epochs": "3"}}, "config.n_epochs"),
        ({"config": {"learning_rate": False}}, "config.learning_rate"),
        ({"config": {"remix": 1}}, "config.remix"),
        ({"overwrite": 1}, "overwrite"),
        ({"config": {"crop_s": 2.0}}, "config"),
        ({"model_id": "../x"}, "model_id"),
        ({"dataset": "/etc"}, "dataset"),
        ({"datasets": "x"}, "datasets"),
    ],
)
def test_bad_trainings_are_refused_by_field(admin: httpx.Client, fields: dict[str, Any], named: str) -> None:
    problem = assert_problem(train(admin, **fields), 422, "invalid-request")
    assert named in fields_of(problem)


def test_a_training_needs_a_finished_data_set(admin: httpx.Client, store: JobStore) -> None:
    assert_problem(train(admin, dataset=new_job_id()), 404, "unknown-job")
    waiting = order(admin).json()
    assert_problem(train(admin, dataset=waiting["id"]), 409, "job-unfinished")
    recording = post(admin).json()
    problem = assert_problem(train(admin, dataset=recording["id"]), 422, "invalid-request")
    assert fields_of(problem) == ["dataset"]


def test_models_are_not_replaced_unasked(admin: httpx.Client, store: JobStore, models: Catalog) -> None:
    data_set = finished_data_set(admin, store)["id"]
    assert_problem(train(admin, dataset=data_set, model_id="default", overwrite=True), 409, "model-exists")
    models.publish(model_from_card({**CARD, "id": "winds"}, url="/models"))
    assert_problem(train(admin, dataset=data_set), 409, "model-exists")
    first = train(admin, dataset=data_set, overwrite=True)
    assert first.status_code == 202
    problem = assert_problem(
        train(admin, dataset=data_set, overwrite=True, config={"seed": 3}), 409, "place-taken"
    )
    assert problem["job"] == first.json()["id"]


def test_a_published_model_can_be_asked_for(admin: httpx.Client, models: Catalog, store: JobStore) -> None:
    labels = ["Flute", "Cello"]
    card = {**CARD, "id": "winds", "labels": labels, "thresholds": {"Flute": 0.5, "Cello": 0.6}}
    models.publish(model_from_card(card, url="/secret/place", version="44" * 32))
    listed = admin.get("/models")
    assert [model["id"] for model in listed.json()["models"]] == ["default", "winds"]
    assert "/secret" not in listed.text
    assert admin.get("/instruments?model=winds").json()["instruments"] == [
        {"instrument": "Flute", "threshold": 0.5},
        {"instrument": "Cello", "threshold": 0.6},
    ]
    answer = post(admin, fields={"model": "winds", "instruments": "Cello"})
    assert answer.json()["model"] == {"id": "winds", "sha256": CARD["sha256"]}
    accepted = store.get(answer.json()["id"]).model
    assert accepted == ModelRef("winds", str(CARD["sha256"]), "44" * 32)
    assert_problem(post(admin, fields={"model": "winds", "instruments": "Violin"}), 422, "unknown-instrument")


METRICS = EpochMetrics(epoch=1, n_epochs=5, train_loss=0.5, validation_loss=0.4, macro_f1=0.7)


def test_progress_tells_pace_and_metrics(admin: httpx.Client, store: JobStore) -> None:
    job = order(admin).json()
    store.begin(job["id"], "mine", max_attempts=3)
    store.advance(job["id"], "mine", Progress("rendering", 4, 10, 2.5, 2.4))
    expected = {
        "stage": "rendering",
        "done": 4,
        "total": 10,
        "queue_position": None,
        "per_second": 2.5,
        "left_s": 2.4,
    }
    assert admin.get(f"/jobs/{job['id']}").json()["progress"] == expected
    store.cancel(job["id"])
    events = [
        json.loads(line[6:])
        for line in admin.get(f"/jobs/{job['id']}/events").text.splitlines()
        if line.startswith("data: ")
    ]
    assert expected in [event["progress"] for event in events]


def test_a_training_with_an_epoch_is_first_asked_to_stop(admin: httpx.Client, store: JobStore) -> None:
    data_set = finished_data_set(admin, store)["id"]
    path = train(admin, dataset=data_set).headers["location"]
    job_id = path.rpartition("/")[2]
    store.begin(job_id, "mine", max_attempts=3)
    store.advance(job_id, "mine", Progress("training", 5, 50, metrics=METRICS))
    store.advance(job_id, "mine", Progress("training", 6, 50))
    answer = admin.delete(path)
    assert (answer.status_code, answer.json()["status"], answer.json()["stopping"]) == (202, "running", True)
    assert answer.json()["progress"]["metrics"] == vars(METRICS)
    result: dict[str, object] = {"trained": {"id": "winds", "sha256": "00"}, "card": {}, "curves": "c"}
    store.stop_early(job_id, "mine", result)
    ended = admin.get(path).json()
    assert (ended["status"], ended["result"]) == ("cancelled", result)
    assert admin.delete(path).status_code == 204


def test_asked_twice_a_training_stops_at_once(admin: httpx.Client, store: JobStore) -> None:
    data_set = finished_data_set(admin, store)["id"]
    path = train(admin, dataset=data_set).headers["location"]
    job_id = path.rpartition("/")[2]
    store.begin(job_id, "mine", max_attempts=3)
    store.advance(job_id, "mine", Progress("training", 5, 50, metrics=METRICS))
    assert admin.delete(path).status_code == 202
    answer = admin.delete(path)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_a_training_without_an_epoch_stops_at_once(admin: httpx.Client, store: JobStore) -> None:
    data_set = finished_data_set(admin, store)["id"]
    path = train(admin, dataset=data_set).headers["location"]
    store.begin(path.rpartition("/")[2], "mine", max_attempts=3)
    answer = admin.delete(path)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
