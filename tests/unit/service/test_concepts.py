"""`GET /models/{id}/concepts` and below, with a test that plays the worker."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from service.answering import references as waiting
from tests.unit.service.requests_made import assert_problem
from tests.unit.worker.atlas_made import LAYER, shipped_card, small_atlas
from worker import keys, references
from worker.catalog import Catalog, model_from_card
from worker.concepts import documents_of
from worker.errors import ModelGoneError
from worker.jobs import QueueName
from worker.problems import problem_of
from worker.questions import ModelRef
from worker.references import Reference, References, Rendered

CARD = shipped_card()
CONCEPTS = "/models/default/concepts"
FIRST = f"{CONCEPTS}/{LAYER}/0/references/0"


@pytest.fixture
def redis(redis_url: str) -> Redis:
    return Redis.from_url(redis_url)


@pytest.fixture
def with_atlas(models: Catalog, api: httpx.Client) -> httpx.Client:
    """The API; a worker has announced the shipped model, with a small atlas, and another without any."""
    fields = CARD.model_dump(mode="json")
    models.announce("worker", [model_from_card(fields), model_from_card({**fields, "id": "plain"})])
    models.atlases.keep(documents_of(CARD, small_atlas()))
    return api


def wanted(place: int = 0) -> Reference:
    return Reference(ModelRef("default", CARD.sha256), LAYER, 0, place)


def test_concepts(with_atlas: httpx.Client) -> None:
    atlas = with_atlas.get(CONCEPTS).json()
    links = [concept["links"]["self"] for layer in atlas["layers"] for concept in layer["concepts"]]
    assert links == [f"{CONCEPTS}/{LAYER}/0", f"{CONCEPTS}/{LAYER}/1"]
    for link in links:
        concept = with_atlas.get(link).json()
        assert concept["links"] == {"self": link, "concepts": CONCEPTS}
        assert concept["layer"] == LAYER
    assert with_atlas.get(links[0]).json()["references"][0]["wav"] == f"{FIRST}.wav"


@pytest.mark.parametrize(
    ("path", "code", "extra"),
    [
        ("/models/best/concepts", "model-not-found", {"unknown": "best", "available": ["default", "plain"]}),
        (f"/models/best/concepts/{LAYER}/0", "model-not-found", {}),
        ("/models/plain/concepts", "missing-atlas", {}),
        (f"/models/plain/concepts/{LAYER}/0", "missing-atlas", {}),
        (f"{CONCEPTS}/head/0", "unknown-concept", {"unknown": "head", "available": [LAYER]}),
        (f"{CONCEPTS}/{LAYER}/2", "unknown-concept", {"unknown": 2, "n_channels": 2}),
        (f"{CONCEPTS}/{LAYER}/2/references/0.wav", "unknown-concept", {}),
        (
            f"{CONCEPTS}/{LAYER}/0/references/2.wav",
            "unknown-concept",
            {"unknown": "2.wav", "available": ["0.wav", "0.png", "1.wav", "1.png"]},
        ),
        (f"{CONCEPTS}/{LAYER}/0/references/0.mp3", "unknown-concept", {}),
        (f"{CONCEPTS}/{LAYER}/1/references/0.wav", "unknown-concept", {"available": []}),
    ],
)
def test_what_is_not_there(with_atlas: httpx.Client, path: str, code: str, extra: dict[str, object]) -> None:
    problem = assert_problem(with_atlas.get(path), 404, code)
    assert extra.items() <= problem.items()


@pytest.mark.parametrize("channel", ["-1", "one", "1.5"])
def test_a_channel_is_a_number(with_atlas: httpx.Client, channel: str) -> None:
    problem = assert_problem(with_atlas.get(f"{CONCEPTS}/{LAYER}/{channel}"), 422, "invalid-request")
    assert problem["errors"][0]["field"] == "channel"


def test_a_reference_is_asked_for_once_and_waited_for(with_atlas: httpx.Client, redis: Redis) -> None:
    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(with_atlas.get, f"{FIRST}.{kind}") for kind in ("wav", "wav", "png", "png")]
        queue = keys.messages(QueueName.INTERACTIVE)
        deadline = time.monotonic() + 5.0
        while not redis.llen(queue):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(4 * waiting.POLL_S)
        assert redis.llen(queue) == 1
        References(redis).fill(wanted(), Rendered(b"RIFF sound", b"PNG picture"))
        sounds, pictures = [each.result() for each in answers[:2]], [each.result() for each in answers[2:]]
    assert {answer.content for answer in sounds} == {b"RIFF sound"}
    assert {answer.headers["content-type"] for answer in sounds} == {"audio/wav"}
    assert {answer.content for answer in pictures} == {b"PNG picture"}
    assert {answer.headers["content-type"] for answer in pictures} == {"image/png"}
    assert redis.llen(queue) == 1
    tag = pictures[0].headers["etag"]
    assert tag == f'"{hashlib.sha256(b"PNG picture").hexdigest()}"'
    again = with_atlas.get(f"{FIRST}.png", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_however_many_want_references_few_wait_before_a_recording(
    with_atlas: httpx.Client, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(references, "MOST_ASKED", 1)
    assert_problem(with_atlas.get(f"{FIRST}.wav"), 503, "still-rendering")
    monkeypatch.setattr(waiting, "LONGEST_WAIT_S", 15.0)
    started = time.monotonic()
    refused = with_atlas.get(f"{CONCEPTS}/{LAYER}/0/references/1.wav")
    assert time.monotonic() - started < 5.0
    problem = assert_problem(refused, 503, "queue-full")
    assert "1 references wait" in problem["detail"]
    assert int(refused.headers["retry-after"]) > 0
    assert redis.llen(keys.messages(QueueName.INTERACTIVE)) == 1


def test_what_went_wrong_is_the_answer(with_atlas: httpx.Client, redis: Redis) -> None:
    References(redis).fail(wanted(), problem_of(ModelGoneError("It is gone.", extra={"unknown": "default"})))
    problem = assert_problem(with_atlas.get(f"{FIRST}.wav"), 410, "model-gone")
    assert problem["detail"] == "It is gone."


def test_who_waits_too_long_is_told_to_come_again(
    with_atlas: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONGEST_WAIT_S", 0.2)
    answer = with_atlas.get(f"{FIRST}.wav")
    assert_problem(answer, 503, "still-rendering")
    assert int(answer.headers["retry-after"]) > 0


def test_without_a_worker_nobody_waits(with_atlas: httpx.Client, models: Catalog, redis: Redis) -> None:
    models.withdraw("worker")
    started = time.monotonic()
    assert_problem(with_atlas.get(f"{FIRST}.wav"), 503, "no-worker")
    assert time.monotonic() - started < 5.0
    References(redis).fill(wanted(), Rendered(b"kept", b""))
    assert with_atlas.get(f"{FIRST}.wav").content == b"kept"


def test_others_are_answered_while_somebody_waits(with_atlas: httpx.Client, redis: Redis) -> None:
    waiter = threading.Thread(target=with_atlas.get, args=(f"{FIRST}.wav",))
    waiter.start()
    try:
        started = time.monotonic()
        assert with_atlas.get("/health/live").status_code == 200
        assert time.monotonic() - started < 2.0
    finally:
        References(redis).fill(wanted(), Rendered(b"", b""))
        waiter.join()
