"""What bad input gets: a problem that names the fault, soon, with no job left and the worker alive."""

import time

import httpx
import pytest

from tests.integration import sounds
from tests.integration.processes import Stack

SOON_S = 2.0

AT_THE_POST = {
    "empty": (b"", 422, "empty-file"),
    "text": (b"This is a text, whatever its name says.\n" * 10, 415, "unknown-format"),
    "truncated WAV": (sounds.audio_file(sounds.tone())[:-2000], 422, "truncated"),
    "1 Hz": (sounds.wav_header(rate_hz=1), 422, "sample-rate-out-of-range"),
    "1,024 channels": (
        sounds.wav_header(channels=1024, data=bytes(20_480)),
        422,
        "channel-count-out-of-range",
    ),
    "ADPCM": (sounds.wav_header(coding=0x11, bits=4), 415, "unsupported-codec"),
    "0 samples": (sounds.wav_header(data=b""), 422, "no-samples"),
    "an hour of silence": (sounds.silent_flac(3600), 413, "too-long"),
    "more than the length limit": (sounds.silent_flac(660), 413, "too-long"),
    "days of MIDI": (sounds.endless_midi(), 413, "too-long"),
    "no notes": (sounds.midi_file(notes=()), 422, "no-notes"),
    "zero tick rate": (sounds.zero_tick_midi(), 422, "invalid-midi"),
    "100,000 events": (sounds.crowded_midi(), 413, "too-many-events"),
    "cut-off MIDI": (sounds.midi_file()[:-9], 422, "truncated-midi"),
}

IN_THE_JOB = {
    "NaN": (sounds.nan_file(), 422, "non-finite-samples"),
    "corrupt frame": (sounds.corrupt_flac(), 422, "corrupt"),
}


@pytest.mark.parametrize("call", ["/classify", "/explain"])
@pytest.mark.parametrize(("data", "status", "code"), AT_THE_POST.values(), ids=AT_THE_POST)
def test_refused_at_the_post(client: httpx.Client, call: str, data: bytes, status: int, code: str) -> None:
    before = _newest(client)
    started = time.monotonic()
    answer = client.post(call, files={"file": ("clip.wav", data)})
    assert time.monotonic() - started < SOON_S
    _assert_problem(answer, status, code)
    assert "location" not in answer.headers
    assert _newest(client) == before


@pytest.mark.parametrize(("data", "status", "code"), IN_THE_JOB.values(), ids=IN_THE_JOB)
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
    for data, *_ in IN_THE_JOB.values():
        stack.client.post("/explain", files={"file": ("x", data)}, headers={"Prefer": "wait=30"})
    wav = sounds.audio_file(sounds.tone(1.0))
    answer = stack.client.post("/classify", files={"file": ("x", wav)}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200
    assert stack.worker.children() == processes
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
