"""From a recipe with instruments of one's own to a model that explains them, through the API alone."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from redis import Redis

from tests.integration import sounds
from tests.integration.making import KEY, OTHER_INSTRUMENTS, Document, Operator, operating, tree
from tests.integration.processes import START_S, Process, Stack, running_stack, start_worker, wait_until

LABELS = ["Flute", "Cello", "Tuba"]

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc"),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A service of its own, with a worker of one process."""
    folder = Path(tempfile.mkdtemp(prefix="ts-train-"))
    settings = {
        "TIMBRESCOPE_ADMIN_KEY": KEY,
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
        "TIMBRESCOPE_TRAINING_PIECE_S": "0.5",  # so that small trainings come in pieces, too
    }
    with running_stack(folder, TIMBRESCOPE_CONCURRENCY="1", **settings) as started:
        yield started
    shutil.rmtree(folder)


@pytest.fixture
def operator(stack: Stack) -> Iterator[Operator]:
    """Somebody with the admin key."""
    with operating(stack.url) as found:
        yield found


@pytest.fixture(scope="module")
def data_set(stack: Stack) -> Document:
    """The job of a small data set of three instruments."""
    with operating(stack.url) as found:
        return found.wait_for_end(found.order(OTHER_INSTRUMENTS, audio=True))


@pytest.fixture
def second_worker(stack: Stack) -> Iterator[Process]:
    """Another worker, ready to work, that keeps its copies of models elsewhere."""
    with ExitStack() as cleanup, Redis.from_url(stack.redis_url) as redis:
        own = {
            **stack.settings,
            "TIMBRESCOPE_STATE_DIR": str(stack.folder / "other-state"),
            "TIMBRESCOPE_MODELS_URL": str(Path(stack.settings["TIMBRESCOPE_STATE_DIR"]) / "models"),
            "TIMBRESCOPE_QUEUES": '["interactive"]',
        }
        worker = start_worker(stack.folder, own, "second-worker")
        cleanup.callback(worker.kill)
        wait_until(lambda: len(redis.keys("ts:worker:*")) == 2, START_S, "a second worker", every_s=0.5)
        yield worker


def ask(stack: Stack, call: str, sound: bytes, **fields: Any) -> Document:
    """The ended job of a recording, for somebody without any key."""
    answer = httpx.post(
        f"{stack.url}{call}",
        files={"file": ("x", sound)},
        data=fields,
        headers={"Prefer": "wait=30", "Cache-Control": "no-cache"},
        timeout=60.0,
    )
    assert answer.status_code == 200, answer.text
    job: Document = answer.json()
    return job


def states_of(operator: Operator, job: Document) -> list[Document]:
    """The progress that the job's events told."""
    text = operator.client.get(job["links"]["events"]).text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_other_instruments_become_a_model_that_explains_them(
    stack: Stack, operator: Operator, data_set: Document, second_worker: Process
) -> None:
    assert data_set["result"]["labels"] == LABELS
    job = operator.wait_for_end(operator.train(data_set["id"], "others", config={"n_epochs": 3}))
    trained, card = job["result"]["trained"], job["result"]["card"]
    assert (trained["id"], card["labels"]) == ("others", LABELS)
    epochs = [
        state["progress"]["metrics"] for state in states_of(operator, job) if "metrics" in state["progress"]
    ]
    assert list(dict.fromkeys(metrics["epoch"] for metrics in epochs)) == [1, 2, 3]
    assert all(metrics["n_epochs"] == 3 and metrics["train_loss"] > 0 for metrics in epochs)
    curves = operator.client.get(job["result"]["curves"])
    assert curves.content.startswith(b"\x89PNG")
    models = {model["id"]: model for model in httpx.get(f"{stack.url}/models").json()["models"]}
    assert models["others"]["sha256"] == trained["sha256"]
    assert models["others"]["instruments"] == LABELS
    assert httpx.get(f"{stack.url}/instruments?model=others").json()["model"] == "others"

    sound = sounds.midi_file([60, 64, 67], program=73)
    results = []
    for _ in range(6):  # enough that both workers get some
        classified = ask(stack, "/classify", sound, model="others")
        assert classified["model"] == trained
        results.append({name: classified["result"][name] for name in ("instruments", "timeline")})
    assert {score["instrument"] for score in results[0]["instruments"]} == set(LABELS)
    assert all(result == results[0] for result in results)
    explained = ask(stack, "/explain", sound, model="others", instruments="Cello", concepts=2)
    (explanation,) = explained["result"]["explanations"]
    assert explanation["instrument"] == "Cello"
    with np.load(io.BytesIO(httpx.get(f"{stack.url}{explanation['map']['npz']}").content)) as arrays:
        assert np.isfinite(arrays["relevance"]).all()
        assert arrays["relevance"].any()
    audio = httpx.get(f"{stack.url}{explained['result']['audio']['wav']}").content
    assert soundfile.info(io.BytesIO(audio)).duration > 1.0
    above_all = ask(stack, "/classify", sound, model="others", threshold="1.0")
    assert not any(score["present"] for score in above_all["result"]["instruments"])
    wait_until(
        lambda: "loaded a model" in second_worker.text() and "model=others" in second_worker.text(),
        60.0,
        "the model on the second worker",
    )


def test_trained_anew_it_is_another_model_under_the_same_name(
    stack: Stack, operator: Operator, data_set: Document
) -> None:
    first = operator.wait_for_end(operator.train(data_set["id"], "again", config={"n_epochs": 1}))
    sound = sounds.midi_file([60, 64], program=42)
    before = ask(stack, "/classify", sound, model="again")
    refused = operator.client.post("/trainings", json={"dataset": data_set["id"], "model_id": "again"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/model-exists")
    changed = {"n_epochs": 1, "seed": 7}
    second = operator.wait_for_end(operator.train(data_set["id"], "again", config=changed, overwrite=True))
    assert first["result"]["trained"]["sha256"] != second["result"]["trained"]["sha256"]
    after = ask(stack, "/classify", sound, model="again")
    assert before["model"] == first["result"]["trained"]
    assert after["model"] == second["result"]["trained"]
    assert before["result"] != after["result"]


def test_cancelled_it_keeps_the_best_epoch(stack: Stack, operator: Operator, data_set: Document) -> None:
    job = operator.train(data_set["id"], "early", config={"n_epochs": 500})
    operator.wait_for_epoch(job, 2)
    assert operator.cancel(job).status_code == 202
    ended = operator.wait_for_end(job, "cancelled")
    card = ended["result"]["card"]
    assert card["training"]["stopped_early"] is True
    assert 2 <= len(card["training"]["history"]) < 500
    sound = sounds.midi_file([60, 64], program=42)
    assert ask(stack, "/classify", sound, model="early")["model"] == ended["result"]["trained"]
    assert not (models_folder(stack) / ".runs" / "early").exists()


def test_killed_midway_it_goes_on_and_gives_the_same_model(
    stack: Stack, operator: Operator, data_set: Document
) -> None:
    config = {"n_epochs": 6}
    calm = operator.wait_for_end(operator.train(data_set["id"], "calm", config=config))
    job = operator.train(data_set["id"], "shaken", config=config)
    operator.wait_for_epoch(job, 2)
    stack.worker.kill()
    stack.worker = start_worker(stack.folder, stack.settings)
    stack.wait_until_ready()
    shaken = operator.wait_for_end(job)
    assert shaken["result"]["trained"]["sha256"] == calm["result"]["trained"]["sha256"]
    epochs = [
        state["progress"]["metrics"]["epoch"]
        for state in states_of(operator, job)
        if "metrics" in state["progress"]
    ]
    assert sorted(set(epochs)) == [1, 2, 3, 4, 5, 6]
    for name in ("calm", "shaken"):  # equal weights, each under a card of its own, and nothing else
        files = [Path(path) for path in tree(models_folder(stack) / name)]
        assert len({path.parts[0] for path in files if len(path.parts) == 2}) == 1
        assert sorted(path.name for path in files) == [
            "curves.png",
            "model.json",
            "versions.txt",
            "weights.safetensors",
        ]


def test_what_cannot_be_trained_on_fails_and_says_why(
    stack: Stack, operator: Operator, data_set: Document
) -> None:
    body = {"dataset": f"{data_set['order']['url']}-of-nothing", "model_id": "nothing"}
    answer = operator.client.post("/trainings", json=body, headers={"Prefer": "wait=30"})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-dataset")
    assert "nothing" in problem["detail"]
    assert "nothing" not in {model["id"] for model in httpx.get(f"{stack.url}/models").json()["models"]}


def models_folder(stack: Stack) -> Path:
    """Where trainings leave their models."""
    return Path(stack.settings["TIMBRESCOPE_STATE_DIR"]) / "models"
