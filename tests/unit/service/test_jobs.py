"""Jobs over HTTP: looked up, listed, followed, cancelled, deleted, and their files."""

import hashlib
import time

import httpx
import pytest
from redis import Redis

from service.answering.etag import matches
from service.answering.sse import entry_after
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post
from worker.artifacts import ArtifactStore
from worker.catalog import Catalog
from worker.ids import new_job_id
from worker.progress import Progress
from worker.store import JobStore


@pytest.fixture
def finished(api: httpx.Client, store: JobStore, redis_url: str) -> str:
    """The path of a job that has succeeded and has a picture."""
    job_id = post(api).json()["id"]
    store.begin(job_id, "mine", max_attempts=3)
    store.advance(job_id, "mine", Progress("drawing", 1, 2))
    artifacts = ArtifactStore(Redis.from_url(redis_url))
    artifacts.put(job_id, "mine", "map-violin.png", "image/png", b"picture")
    store.succeed(job_id, "mine", {"instruments": [], "timeline": []})
    return f"/jobs/{job_id}"


@pytest.mark.parametrize("call", ["", "/events", "/artifacts/audio.wav"])
def test_unknown_jobs(api: httpx.Client, call: str) -> None:
    for job_id in (new_job_id(), "nonsense", "*", "%2e%2e"):
        assert_problem(api.get(f"/jobs/{job_id}{call}"), 404, "unknown-job")
    assert_problem(api.delete(f"/jobs/{new_job_id()}"), 404, "unknown-job")


def test_cancelling_and_deleting(api: httpx.Client) -> None:
    path = post(api).headers["location"]
    cancelled = api.delete(path)
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    assert api.get(path).json() == cancelled.json()
    assert api.delete(path).status_code == 204
    for answer in (api.get(path), api.delete(path), api.get(f"{path}/events")):
        assert_problem(answer, 410, "job-deleted")
    assert api.get("/jobs").json() == {"jobs": [], "next": None}


def test_a_running_job_is_cancelled(api: httpx.Client, store: JobStore) -> None:
    job = post(api).json()
    store.begin(job["id"], "mine", max_attempts=3)
    assert api.get(job["links"]["self"]).json()["status"] == "running"
    assert api.delete(job["links"]["self"]).json()["status"] == "cancelled"


def test_expiry(start_api: StartApi, models: Catalog) -> None:
    api = start_api(result_ttl_s=0.5, tombstone_ttl_s=1.0)
    path = post(api).headers["location"]
    api.delete(path)
    assert api.get(path).status_code == 200
    time.sleep(0.6)
    assert_problem(api.get(path), 410, "job-expired")
    time.sleep(1.0)
    assert_problem(api.get(path), 404, "unknown-job")


def test_pages(api: httpx.Client) -> None:
    made = [post(api).json()["id"] for _ in range(5)]
    path: str | None = "/jobs?limit=2"
    seen, sizes = [], []
    while path is not None:
        page = api.get(path).json()
        seen += [job["id"] for job in page["jobs"]]
        sizes.append(len(page["jobs"]))
        assert all("result" not in job for job in page["jobs"])
        path = page["next"]
    assert seen == made[::-1]
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor")],
)
def test_bad_pages(api: httpx.Client, query: str, field: str) -> None:
    problem = assert_problem(api.get(f"/jobs?{query}"), 422, "invalid-request")
    assert problem["errors"][0]["field"] == field


def test_an_artifact(api: httpx.Client, finished: str) -> None:
    answer = api.get(f"{finished}/artifacts/map-violin.png")
    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["content-type"] == "image/png"
    etag = answer.headers["etag"]
    assert etag == f'"{hashlib.sha256(b"picture").hexdigest()}"'
    again = api.get(f"{finished}/artifacts/map-violin.png", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    "name", ["other.png", "..%2Fmap-violin.png", "%2e%2e", "map-violin.png%00", "MAP-VIOLIN.PNG", "x" * 300]
)
def test_names_are_looked_up_and_nothing_else(api: httpx.Client, finished: str, name: str) -> None:
    answer = api.get(f"{finished}/artifacts/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("header", "same"),
    [
        (None, False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"ab"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match(header: str | None, same: bool) -> None:
    assert matches(header, '"abc"') is same


def events_of(answer: httpx.Response) -> list[dict[str, str]]:
    """The events of a whole stream."""
    blocks = [block for block in answer.text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_events(api: httpx.Client, finished: str) -> None:
    answer = api.get(f"{finished}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    events = events_of(answer)
    assert [event["event"] for event in events] == ["job"] * 4
    assert '"status": "queued"' in events[0]["data"]
    assert '"stage": "drawing", "done": 1, "total": 2' in events[2]["data"]
    assert '"status": "succeeded"' in events[-1]["data"]


def test_events_go_on_where_they_were(api: httpx.Client, finished: str) -> None:
    events = events_of(api.get(f"{finished}/events"))
    rest = api.get(f"{finished}/events", headers={"Last-Event-ID": events[1]["id"]})
    assert events_of(rest) == events[2:]
    done = api.get(f"{finished}/events", headers={"Last-Event-ID": events[-1]["id"]})
    assert (done.status_code, done.content) == (204, b"")
    whole = api.get(f"{finished}/events", headers={"Last-Event-ID": "nonsense"})
    assert events_of(whole) == events


@pytest.mark.parametrize("past", [f"{2**64 - 1}-1", f"{2**63}-0"])
def test_nothing_is_later_than_any_event(api: httpx.Client, finished: str, past: str) -> None:
    answer = api.get(f"{finished}/events", headers={"Last-Event-ID": past})
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_event_id_that_no_stream_has_is_none(api: httpx.Client, finished: str) -> None:
    whole = events_of(api.get(f"{finished}/events"))
    answer = api.get(f"{finished}/events", headers={"Last-Event-ID": f"{'9' * 20}-0"})
    assert events_of(answer) == whole


def test_which_event_ids_count() -> None:
    assert entry_after("1795183271085-0") == "1795183271085-0"
    for text in (
        None,
        "",
        "x",
        "1-1 STREAMS",
        "$",
        "1-0\n",
        "9" * 30 + "-0",
        f"{2**64}-0",
        f"0-{2**64}",
        "1-\u0661",
    ):
        assert entry_after(text) == "0-0"


def test_events_arrive_as_they_happen(api: httpx.Client, store: JobStore) -> None:
    job = post(api).json()
    with api.stream("GET", job["links"]["events"]) as answer:
        lines = answer.iter_lines()
        first = [next(lines) for _ in range(4)]
        assert '"queue_position": 1' in first[2]
        store.cancel(job["id"])
        assert any('"status": "cancelled"' in line for line in lines)
