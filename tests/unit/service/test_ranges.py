"""Parts of files: what the headers mean, and what the API answers to them."""

import hashlib

import httpx
import pytest
from redis import Redis

from service.answering import files
from service.answering.ranges import Part, part_wanted
from tests.unit.service.requests_made import assert_problem, post
from worker import keys
from worker.artifacts import ArtifactStore
from worker.request_errors import RangeNotSatisfiableError
from worker.store import JobStore

TAG = '"abc"'
SOUND = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-", Part(0, 1000)),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=10-19", Part(10, 20)),
        ("BYTES= 10-19 ", Part(10, 20)),
        ("bytes=990-", Part(990, 1000)),
        ("bytes=990-5000", Part(990, 1000)),
        ("bytes=-1", Part(999, 1000)),
        ("bytes=-5000", Part(0, 1000)),
        # several, other units, and what is no range: all of it
        ("bytes=0-1,5-6", None),
        ("bytes=0-1, -1", None),
        ("lines=1-2", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5", None),
        ("bytes=9-5", None),
        ("bytes=a-b", None),
        ("bytes=0x1-5", None),
        ("bytes=+1-5", None),
        ("bytes=١-٢", None),
        ("bytes=1--5", None),
        (f"bytes={'9' * 30}-", None),
        ("", None),
    ],
)
def test_which_part_is_meant(header: str | None, part: Part | None) -> None:
    assert part_wanted(header, None, TAG, 1000) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", f"bytes={'9' * 19}-"])
def test_a_part_beyond_the_end(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError, match="1000 bytes long"):
        part_wanted(header, None, TAG, 1000)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_nothing_has_no_parts(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        part_wanted(header, None, TAG, 0)


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [
        (TAG, True),
        (f" {TAG} ", True),
        ('"other"', False),
        (f"W/{TAG}", False),
        ("abc", False),
        ("Wed, 21 Oct 2015 07:28:00 GMT", False),
        ("*", False),
        ("", False),
    ],
)
def test_a_part_only_of_what_the_client_has(if_range: str, counts: bool) -> None:
    assert part_wanted("bytes=5-", if_range, TAG, 10) == (Part(5, 10) if counts else None)
    assert part_wanted("bytes=50-", '"other"', TAG, 10) is None  # not refused: the file is another now


@pytest.fixture
def sound(api: httpx.Client, store: JobStore, redis_url: str) -> str:
    """The path of a sound that a job made."""
    job_id = post(api, headers={"Cache-Control": "no-cache"}).json()["id"]
    store.begin(job_id, "mine", max_attempts=3)
    ArtifactStore(Redis.from_url(redis_url)).put(job_id, "mine", "audio.wav", "audio/wav", SOUND)
    return f"/jobs/{job_id}/artifacts/audio.wav"


def test_a_player_can_seek(api: httpx.Client, sound: str) -> None:
    whole = api.get(sound)
    assert (whole.status_code, whole.content) == (200, SOUND)
    assert whole.headers["accept-ranges"] == "bytes"
    part = api.get(sound, headers={"Range": "bytes=10000-"})
    assert (part.status_code, part.content) == (206, SOUND[10000:])
    assert part.headers["content-range"] == f"bytes 10000-{len(SOUND) - 1}/{len(SOUND)}"
    assert part.headers["content-type"] == "audio/wav"
    same = ("etag", "cache-control", "content-disposition", "accept-ranges")
    assert {name: part.headers[name] for name in same} == {name: whole.headers[name] for name in same}
    several = api.get(sound, headers={"Range": "bytes=0-9,20-29"})
    assert (several.status_code, several.content) == (200, SOUND)
    assert "content-range" not in several.headers


def test_beyond_the_end(api: httpx.Client, sound: str) -> None:
    answer = api.get(sound, headers={"Range": f"bytes={len(SOUND)}-"})
    problem = assert_problem(answer, 416, "range-not-satisfiable")
    assert problem["size_bytes"] == len(SOUND)
    assert answer.headers["content-range"] == f"bytes */{len(SOUND)}"


def test_what_is_known_already_comes_first(api: httpx.Client, sound: str) -> None:
    etag = f'"{hashlib.sha256(SOUND).hexdigest()}"'
    known = api.get(sound, headers={"Range": "bytes=99999-", "If-None-Match": etag})
    assert (known.status_code, known.content) == (304, b"")
    part = api.get(sound, headers={"Range": "bytes=0-3", "If-Range": etag})
    assert (part.status_code, part.content) == (206, SOUND[:4])
    other = api.get(sound, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, SOUND)


def test_only_what_is_asked_for_is_fetched(api: httpx.Client, sound: str, redis_url: str) -> None:
    """The file's bytes are taken away, its description stays: what needs no bytes is answered as before."""
    etag = api.head(sound).headers["etag"]
    job_id = sound.split("/")[2]
    with Redis.from_url(redis_url) as redis:
        redis.delete(keys.artifacts(job_id))
    head = api.head(sound)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(SOUND))
    assert api.head(sound, headers={"Range": "bytes=0-3"}).status_code == 200  # a range means GET
    assert api.get(sound, headers={"If-None-Match": etag}).status_code == 304
    assert_problem(api.get(sound), 404, "unknown-artifact")


def test_a_file_comes_in_pieces(api: httpx.Client, sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIECE_BYTES", 1000)
    asked: list[tuple[int, int]] = []
    fetch = ArtifactStore.part

    def noted(self: ArtifactStore, job_id: str, name: str, start: int, end: int) -> bytes:
        asked.append((start, end))
        return fetch(self, job_id, name, start, end)

    monkeypatch.setattr(ArtifactStore, "part", noted)
    part = api.get(sound, headers={"Range": "bytes=500-2999"})
    assert part.content == SOUND[500:3000]
    assert part.headers["content-length"] == "2500"
    assert asked == [(500, 1500), (1500, 2500), (2500, 3000)]
    assert api.get(sound).content == SOUND


def test_a_file_that_goes_midway_is_cut_short(
    api: httpx.Client, sound: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIECE_BYTES", 1000)
    fetch = ArtifactStore.part

    def only_the_beginning(self: ArtifactStore, job_id: str, name: str, start: int, end: int) -> bytes:
        with Redis.from_url(redis_url) as redis:
            if start:
                redis.delete(keys.artifacts(job_id))
        return fetch(self, job_id, name, start, end)

    monkeypatch.setattr(ArtifactStore, "part", only_the_beginning)
    with pytest.raises(httpx.RemoteProtocolError):
        api.get(sound)
    assert api.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/health/live", "/jobs", "/models", "/openapi.json", "/metrics"]
)
def test_every_get_has_its_head(api: httpx.Client, path: str) -> None:
    head, got = api.head(path), api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    varying = ("x-request-id", "date", "content-length" if path == "/metrics" else "")
    assert {name: value for name, value in head.headers.items() if name not in varying} == {
        name: value for name, value in got.headers.items() if name not in varying
    }
    assert api.head("/classify").status_code == 405
    assert api.head("/no/such/path").status_code == 404


def test_the_head_of_a_stream_ends(api: httpx.Client) -> None:
    job = post(api, headers={"Cache-Control": "no-cache"}).json()
    head = api.head(job["links"]["events"])
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
