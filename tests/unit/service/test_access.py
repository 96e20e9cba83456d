"""Who may do what: keys of all kinds at every call, scopes, and jobs that nobody but their key sees."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from redis import Redis

from service.app import create_app
from service.intake import uploads
from service.settings import ServiceSettings, is_loopback
from tests.unit.service.conftest import ANEW, StartApi, serving
from tests.unit.service.requests_made import assert_problem, post, wav
from worker.api_keys import ApiKeys, Scope
from worker.artifacts import ArtifactStore
from worker.catalog import Catalog
from worker.ids import new_job_id
from worker.store import JobStore

ADMIN_KEY = "the-key-of-the-environment"
OPEN = {"/", "/docs", "/health/live", "/health/ready"}
RECIPE = {"name": "winds", "n_clips": 10, "instruments": ["Trumpet", "Piccolo"], "instruments_per_clip": [1]}
OF_A_JOB = ("", "/events", "/artifacts/audio.wav")


def _calls() -> list[tuple[str, str]]:
    """Every call of the description but those that are open to all, with values in its path."""
    values = {
        "job_id": new_job_id(),
        "name": "audio.wav",
        "model_id": "default",
        "layer": "features.conv1",
        "channel": 0,
    }
    paths = create_app(ServiceSettings()).openapi()["paths"]
    return [
        (method.upper(), path.format(**values))
        for path, methods in paths.items()
        for method in methods
        if path not in OPEN and method in ("get", "post", "delete")
    ]


CALLS = _calls()


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}".strip()}


@pytest.fixture
def keys(redis_url: str, models: Catalog) -> ApiKeys:
    return ApiKeys(Redis.from_url(redis_url))


@pytest.fixture(scope="module")
def closed_url(redis_server: str) -> Iterator[str]:
    """An API that asks for keys."""
    with serving(
        ServiceSettings(redis_url=redis_server, port=0, require_keys=True, admin_key=ADMIN_KEY)
    ) as url:
        yield url


@pytest.fixture
def closed(closed_url: str, keys: ApiKeys) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=closed_url, headers=ANEW) as client:
        yield client


@pytest.fixture
def alice(keys: ApiKeys) -> dict[str, str]:
    return bearer(keys.create("Alice", [Scope.INFER])[1])


@pytest.fixture
def bob(keys: ApiKeys) -> dict[str, str]:
    return bearer(keys.create("Bob", [Scope.INFER])[1])


@pytest.fixture
def operator(keys: ApiKeys) -> dict[str, str]:
    """Somebody who may administer, and not infer."""
    return bearer(keys.create("Operator", [Scope.ADMIN])[1])


def no_keys(keys: ApiKeys) -> dict[str, str]:
    """Texts that open nothing, by what is the matter with them."""
    made, text = keys.create("good", [Scope.INFER, Scope.ADMIN])
    expired = keys.create("old", Scope, expires_at=datetime.now(UTC) - timedelta(seconds=1))[1]
    revoked_key, revoked = keys.create("lost", Scope)
    keys.revoke(revoked_key.id)
    return {
        "empty": "",
        "made up": "sesame",
        "of no id": "ts_000000000000_" + "A" * 43,
        "cut short": text[:-1],
        "another secret": f"ts_{made.id}_{'A' * 43}",
        "expired": expired,
        "revoked": revoked,
    }


def test_every_call_asks_for_a_key(closed: httpx.Client, keys: ApiKeys) -> None:
    assert len(CALLS) > 15
    for method, path in CALLS:
        answer = closed.request(method, path)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    for text in no_keys(keys).values():
        for method, path in CALLS:
            answer = closed.request(method, path, headers=bearer(text))
            problem = assert_problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            assert not text or text not in str(problem)


def test_a_key_that_is_sent_has_to_be_good_also_where_none_is_needed(
    api: httpx.Client, keys: ApiKeys
) -> None:
    wrong = no_keys(keys)
    for method, path in CALLS:
        for text in (wrong["made up"], wrong["expired"]):
            assert_problem(api.request(method, path, headers=bearer(text)), 401, "unauthorized")
    for text in wrong.values():
        assert_problem(post(api, headers=bearer(text)), 401, "unauthorized")
    assert post(api).status_code == 202


def test_what_is_open_stays_open(closed: httpx.Client, keys: ApiKeys) -> None:
    for headers in ({}, bearer("sesame")):
        for path in (*sorted(OPEN), "/openapi.json", "/static/swagger/swagger-ui.css"):
            assert closed.get(path, headers=headers).status_code == 200, path


def test_a_key_travels_in_one_way_only(closed: httpx.Client, alice: dict[str, str]) -> None:
    text = alice["Authorization"].removeprefix("Bearer ")
    assert closed.get("/jobs", headers=alice).status_code == 200
    assert closed.get("/jobs", headers={"authorization": f"bEARER   {text}"}).status_code == 200
    for query in (f"key={text}", f"api_key={text}", f"access_token={text}", f"authorization=Bearer%20{text}"):
        assert_problem(closed.get(f"/models?{query}"), 401, "unauthorized")
    for header in ("X-API-Key", "X-Authorization", "Proxy-Authorization", "Cookie"):
        assert_problem(closed.get("/jobs", headers={header: f"Bearer {text}"}), 401, "unauthorized")
    for value in (text, f"Basic {text}", f"Bearer{text}", f"Token {text}"):
        assert_problem(closed.get("/jobs", headers={"Authorization": value}), 401, "unauthorized")
    twice = [("Authorization", f"Bearer {text}"), ("Authorization", f"Bearer {ADMIN_KEY}")]
    assert_problem(closed.get("/jobs", headers=twice), 401, "unauthorized")
    assert_problem(post(closed, fields={"authorization": f"Bearer {text}"}), 401, "unauthorized")


def test_scopes(closed: httpx.Client, alice: dict[str, str], operator: dict[str, str]) -> None:
    for call in ("/datasets", "/trainings"):
        answer = closed.post(call, json={}, headers=alice)
        problem = assert_problem(answer, 403, "forbidden")
        assert (problem["error"], problem["scope"]) == ("insufficient_scope", "admin")
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="admin"'
        assert closed.post(call, json={}, headers=operator).status_code == 422
    for call in ("/classify", "/explain", "/explain/check", "/classify/batch", "/explain/batch"):
        problem = assert_problem(post(closed, call, headers=operator), 403, "forbidden")
        assert problem["scope"] == "infer"
    for path in ("/jobs", "/models", "/instruments", "/metrics"):
        assert closed.get(path, headers=operator).status_code == 200
        assert closed.get(path, headers=alice).status_code == 200
    assert post(closed, headers=alice).status_code == 202
    assert post(closed, headers=bearer(ADMIN_KEY)).status_code == 202


def test_without_a_key_nobody_administers(api: httpx.Client) -> None:
    answer = api.post("/datasets", json={})
    problem = assert_problem(answer, 401, "unauthorized")
    assert "scope admin" in problem["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"


def test_revocation_counts_from_the_next_request_on(closed: httpx.Client, keys: ApiKeys) -> None:
    key, text = keys.create("brief", [Scope.INFER])
    path = post(closed, headers=bearer(text)).headers["location"]
    assert closed.get(path, headers=bearer(text)).status_code == 200
    keys.revoke(key.id)
    problem = assert_problem(closed.get(path, headers=bearer(text)), 401, "unauthorized")
    assert problem["detail"] == "This key is revoked."


def without(job_id: str, problem: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value).replace(job_id, "ID") for name, value in problem.items()}


def test_a_job_is_there_for_its_key_only(
    closed: httpx.Client, alice: dict[str, str], bob: dict[str, str], operator: dict[str, str]
) -> None:
    job = post(closed, headers=alice).json()["id"]
    own = post(closed, headers=bob).json()["id"]
    absent = new_job_id()
    unknown = assert_problem(closed.get(f"/jobs/{absent}", headers=bob), 404, "unknown-job")
    for other in (bob, operator, bearer(ADMIN_KEY)):
        for call in OF_A_JOB:
            problem = assert_problem(closed.get(f"/jobs/{job}{call}", headers=other), 404, "unknown-job")
            assert without(job, problem) == without(absent, unknown)
        assert_problem(closed.delete(f"/jobs/{job}", headers=other), 404, "unknown-job")
    assert closed.get(f"/jobs/{job}", headers=alice).json()["status"] == "queued"
    for who, seen in ((alice, [job]), (bob, [own]), (operator, []), (bearer(ADMIN_KEY), [])):
        assert [entry["id"] for entry in closed.get("/jobs", headers=who).json()["jobs"]] == seen
    older = closed.get(f"/jobs?cursor={job}", headers=bob).json()
    assert older == {"jobs": [], "next": None}
    for who in (operator, bearer(ADMIN_KEY)):
        for named in (job, absent):
            order = {"dataset": named, "model_id": "winds"}
            assert_problem(closed.post("/trainings", json=order, headers=who), 404, "unknown-job")


def test_what_became_of_a_job_is_told_to_its_key_only(
    start_api: StartApi, models: Catalog, alice: dict[str, str], bob: dict[str, str]
) -> None:
    closed = start_api(require_keys=True, result_ttl_s=1.0, tombstone_ttl_s=60.0)
    deleted, expired = (post(closed, headers=alice).headers["location"] for _ in range(2))
    for path in (deleted, expired, deleted):
        assert closed.delete(path, headers=alice).status_code in (200, 204)
    assert closed.get(expired, headers=alice).status_code == 200
    assert_problem(closed.get(expired, headers=bob), 404, "unknown-job")
    time.sleep(1.1)
    for path, fate in ((deleted, "job-deleted"), (expired, "job-expired")):
        for call in OF_A_JOB:
            assert_problem(closed.get(f"{path}{call}", headers=alice), 410, fate)
            assert_problem(closed.get(f"{path}{call}", headers=bob), 404, "unknown-job")
        assert_problem(closed.delete(path, headers=bob), 404, "unknown-job")


def test_data_sets_are_there_for_every_operator(
    closed: httpx.Client, alice: dict[str, str], operator: dict[str, str]
) -> None:
    made = closed.post("/datasets", json={"recipe": RECIPE}, headers=bearer(ADMIN_KEY))
    assert made.status_code == 202
    path = made.headers["location"]
    assert closed.get(path, headers=operator).json()["kind"] == "dataset"
    assert_problem(closed.get(path, headers=alice), 404, "unknown-job")
    assert closed.delete(path, headers=operator).json()["status"] == "cancelled"


def test_an_open_service_keeps_the_jobs_of_keys_apart(
    start_api: StartApi, models: Catalog, alice: dict[str, str], bob: dict[str, str]
) -> None:
    api = start_api()
    anybodys = post(api).json()["id"]
    own = post(api, headers=alice).json()["id"]
    for who, seen in (({}, [anybodys]), (bob, [anybodys]), (alice, [own, anybodys])):
        assert [entry["id"] for entry in api.get("/jobs", headers=who).json()["jobs"]] == seen
        for job in (anybodys, own):
            assert (api.get(f"/jobs/{job}", headers=who).status_code == 200) == (job in seen)


def test_jobs_made_without_a_key_are_nobodys_once_keys_are_asked_for(
    api: httpx.Client, closed: httpx.Client, alice: dict[str, str]
) -> None:
    path = post(api).headers["location"]
    for who in (alice, bearer(ADMIN_KEY)):
        assert_problem(closed.get(path, headers=who), 404, "unknown-job")


def test_files_are_for_the_key_only(
    closed: httpx.Client, alice: dict[str, str], bob: dict[str, str], store: JobStore, redis_url: str
) -> None:
    job = post(closed, headers=alice).json()["id"]
    store.begin(job, "mine", max_attempts=3)
    info = ArtifactStore(Redis.from_url(redis_url)).put(job, "mine", "audio.wav", "audio/wav", b"RIFF")
    path = f"/jobs/{job}/artifacts/audio.wav"
    assert closed.get(path, headers=alice).content == b"RIFF"
    asked = {"If-None-Match": f'"{info.sha256}"', "Range": "bytes=0-1"}
    assert_problem(closed.get(path, headers={**bob, **asked}), 404, "unknown-job")
    assert closed.head(path, headers=bob).status_code == 404
    assert closed.head(path, headers=alice).status_code == 200


def test_who_may_not_send_is_refused_before_the_body_is_read(
    closed: httpx.Client, keys: ApiKeys, operator: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "DRAIN_S", 0.1)
    limited = bearer(keys.create("limited", [Scope.INFER], per_minute=1)[1])
    assert post(closed, headers=limited).status_code == 202
    for headers, status in (({}, 401), (bearer("sesame"), 401), (operator, 403), (limited, 429)):
        head = [
            "POST /explain HTTP/1.1",
            f"Host: {closed.base_url.host}:{closed.base_url.port}",
            "Content-Type: multipart/form-data; boundary=x",
            "Content-Length: 40000000",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        with socket.create_connection((closed.base_url.host, closed.base_url.port or 0), timeout=30) as raw:
            raw.sendall("\r\n".join([*head, "", ""]).encode() + b"--x\r\n")
            assert raw.recv(1000).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("localhost.example.org", False),
    ],
)
def test_keys_are_required_where_others_reach_the_service(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here
    assert ServiceSettings(host=host).keys_are_required is not only_here
    assert ServiceSettings(host=host, require_keys=True).keys_are_required
    if only_here:
        assert not ServiceSettings(host=host, require_keys=False).keys_are_required
    else:
        with pytest.raises(ValueError, match="a loopback address only"):
            ServiceSettings(host=host, require_keys=False)


def test_a_form_that_is_not_one_is_no_way_around(closed: httpx.Client) -> None:
    for content_type in ("application/json", "text/plain", ""):
        answer = closed.post("/explain", content=wav(), headers={"Content-Type": content_type})
        assert_problem(answer, 401, "unauthorized")


def test_methods_that_there_are_not_are_one(start_api: StartApi, caplog: pytest.LogCaptureFixture) -> None:
    """A word of the client's choice is in no log, and makes no series of figures."""
    api = start_api()
    for word in ("TS_000000000000_SECRET", "FETCH", "GETS"):
        assert_problem(api.request(word, "/models"), 405, "method-not-allowed")
    figures = api.get("/metrics").text
    assert 'timbrescope_http_requests_total{method="_OTHER",route="/models",status="405"} 3.0' in figures
    for word in ("SECRET", "FETCH", "GETS"):
        assert word not in figures
        assert not [record for record in caplog.records if word in str(vars(record).get("method"))]
