"""Tricks with paths: names are looked up and nothing else, so whatever is none of ours is not there."""

import json
from urllib.parse import quote

import httpx
import pytest
from redis import Redis

from tests.unit.service.requests_made import post
from tests.unit.service.wire import connected, head
from tests.unit.worker.atlas_made import LAYER, shipped_card, small_atlas
from worker import keys
from worker.artifacts import ArtifactStore
from worker.catalog import Catalog, model_from_card
from worker.concepts import documents_of
from worker.store import JobStore

NAME = "audio.wav"
# As they stand in the request's line: what libraries would tidy up before they send it.
TRICKS = {
    "up": "..",
    "up and back": f"../artifacts/{NAME}",
    "far up": "../../../../etc/passwd",
    "up, encoded": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "up, encoded twice": "%252e%252e%252fetc%252fpasswd",
    "up, with backslashes": "..%5c..%5cetc%5cpasswd",
    "up, overlong": "%c0%ae%c0%ae%c0%afetc",
    "up, full width": quote("../../etc/passwd"),
    "absolute": "%2fetc%2fpasswd",
    "absolute, of a drive": "C:%5cWindows%5cwin.ini",
    "a URL": "http:%2f%2fevil.example%2fx",
    "here": ".",
    "here and there": f"./{NAME}",
    "a slash after it": f"{NAME}/",
    "a slash before it": f"/{NAME}",
    "a slash within, encoded": f"x%2f{NAME}",
    "a zero after it": f"{NAME}%00",
    "a zero and an ending": f"{NAME}%00.png",
    "only a zero": "%00",
    "a line's end": f"{NAME}%0d%0aX-Evil:%201",
    "a space after it": f"{NAME}%20",
    "a dot after it": f"{NAME}.",
    "a parameter": f"{NAME};x=1",
    "capitals": NAME.upper(),
    "another way to write it": quote("audio．wav"),
    "half a character": "%ed%a0%80",
    "not UTF-8": "%ff%fe",
    "broken percents": "%",
    "other broken percents": "%zz%1",
    "right to left": quote("\u202evaw.oidua"),
    "a pattern": "*",
    "another pattern": "audio%3f%2a",
    "a key": quote("ts:jobs", safe=""),
    "a template": "%7b%7b7*7%7d%7d",
    "markup": quote("<script>alert(1)</script>", safe=""),
    "very long": "a" * 7000,
    "very long, encoded": "%61" * 2500,
    "long and deep": "a/" * 3000,
}


@pytest.fixture
def job(api: httpx.Client, models: Catalog, store: JobStore, redis_url: str) -> str:
    """A job that has a file; a model with concepts is there, too."""
    card = shipped_card()
    models.announce("worker", [model_from_card(card.model_dump(mode="json"))])
    models.atlases.keep(documents_of(card, small_atlas()))
    job_id: str = post(api, headers={"Cache-Control": "no-cache"}).json()["id"]
    store.begin(job_id, "mine", max_attempts=3)
    ArtifactStore(Redis.from_url(redis_url)).put(job_id, "mine", NAME, "audio/wav", b"RIFF")
    return job_id


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
def test_tricks(api: httpx.Client, job: str, trick: str) -> None:
    places = (
        f"/jobs/{job}/artifacts/",
        "/jobs/",
        f"/jobs/{job}",
        "/models/",
        f"/models/default/concepts/{LAYER}/",
        f"/models/default/concepts/{LAYER}/0/references/",
        "/models/default/concepts/",
        "/static/",
        "/static/swagger/",
        "/",
    )
    for place in places:
        with connected(api) as connection:
            connection.send(head(f"GET {place}{trick} HTTP/1.1", "Connection: close"))
            answer = connection.answer()
        assert answer.status in (404, 414, 422), (place, answer)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "x-evil" not in answer.headers
        problem = json.loads(answer.body)
        assert len(problem["detail"]) < 500
        assert all(
            secret not in answer.body for secret in (b"root:", b"/work", b"site-packages", b"Traceback")
        )
    with connected(api) as connection:
        connection.send(head(f"DELETE /jobs/{trick} HTTP/1.1", "Connection: close"))
        assert connection.answer().status in (404, 405, 414)


def test_the_file_is_there_all_the_while(api: httpx.Client, job: str, redis_url: str) -> None:
    assert api.get(f"/jobs/{job}/artifacts/{NAME}").content == b"RIFF"
    with connected(api) as connection:  # an encoded letter is the letter
        connection.send(head(f"GET /jobs/{job}/artifacts/%61udio.wav HTTP/1.1"))
        assert connection.answer().body == b"RIFF"
    with Redis.from_url(redis_url) as redis:
        assert redis.exists(keys.record(job))
