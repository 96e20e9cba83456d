"""What bad input gets: a problem that names the fault, soon, with no job left and the worker alive."""

import time

import httpx
import pytest

from tests.integration import sounds
from tests.integration.hostile import AT_ONCE, ON_DECODING
from tests.integration.processes import Stack

SOON_S = 2.0
# A worker is no different from none here: all of them are refused in `tests/unit/service`.
SOME = ("text", "a WAV at 1 Hz", "an hour of silence", "days of MIDI in 33 bytes", "MIDI without time")


@pytest.mark.parametrize("call", ["/classify", "/explain"])
@pytest.mark.parametrize("name", SOME)
def test_refused_at_the_post(client: httpx.Client, call: str, name: str) -> None:
    data, status, code = AT_ONCE[name]
    before = _newest(client)
    started = time.monotonic()
    answer = client.post(call, files={"file": ("clip.wav", data)})
    assert time.monotonic() - started < SOON_S
    _assert_problem(answer, status, code)
    assert "location" not in answer.headers
    assert _newest(client) == before


@pytest.mark.parametrize(("data", "status", "code"), ON_DECODING.values(), ids=ON_DECODING)
def test_refused_by_the_job(client: httpx.Client, data: bytes, status: int, code: str) -> None:
    started = time.monotonic()
    answer = client.post("/classify", files={"file": ("clip.wav", data)}, headers={"Prefer": "wait=30"})
    assert time.monotonic() - started < SOON_S
    _assert_problem(answer, status, code)
    path = answer.headers["location"]
    assert answer.json()["instance"] == path
    job = client.get(path).json()
    assert job["status"] == "failed"
    assert job["error"] == answer.json()
    assert job["result"] is None
    assert client.get(f"{path}/artifacts/audio.wav").status_code == 404


def test_larger_than_the_upload_limit(client: httpx.Client) -> None:
    started = time.monotonic()
    answer = client.post("/classify", files={"file": ("clip.wav", bytes(50_500_000))})
    assert time.monotonic() - started < SOON_S
    _assert_problem(answer, 413, "too-many-bytes")


def test_larger_than_the_upload_limit_without_saying_so(client: httpx.Client) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\n\r\n'
    body = (part for part in [head, *[bytes(1_000_000)] * 60])
    started = time.monotonic()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/classify", content=body, headers=headers)
    assert time.monotonic() - started < SOON_S
    _assert_problem(answer, 413, "too-many-bytes")


def test_afterwards_the_same_worker_works(stack: Stack) -> None:
    processes = stack.worker.children()
    assert len(processes) == 2
    n_loaded = stack.worker.text().count("loaded a model")
    for data, *_ in ON_DECODING.values():
        stack.client.post("/explain", files={"file": ("x", data)}, headers={"Prefer": "wait=30"})
    wav = sounds.audio_file(sounds.tone(1.0))
    answer = stack.client.post("/classify", files={"file": ("x", wav)}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200
    assert stack.worker.children() == processes
    assert stack.worker.text().count("loaded a model") == n_loaded, "a bad recording cost a model"
    unfinished = [job for job in stack.client.get("/jobs?limit=100").json()["jobs"] if not job["finished_at"]]
    assert unfinished == []


def _newest(client: httpx.Client) -> object:
    return client.get("/jobs?limit=1").json()["jobs"]


def _assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{code}"), problem
    assert problem["status"] == status
    assert problem["title"]
    assert len(problem["detail"]) > 10
    assert "Traceback" not in answer.text
