"""Uploads that try to do harm: refused by what they are, soon, and the API goes on."""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.hostile import AT_ONCE, Expected
from tests.integration.sounds import wav_header
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post, wav
from worker.catalog import Catalog

SOON_S = 5.0
# More than the process that looks at uploads has mapped when it begins, less than it needs for 40 MB.
LITTLE_MEMORY_BYTES = 50_000_000
LARGE = wav_header(data=bytes(40_000_000))


@pytest.mark.parametrize("expected", AT_ONCE.values(), ids=AT_ONCE)
def test_refused_at_once(api: httpx.Client, expected: Expected) -> None:
    data, status, code = expected
    started = time.monotonic()
    answer = post(api, "/classify", data=data)
    assert time.monotonic() - started < SOON_S
    problem = assert_problem(answer, status, code)
    assert len(problem["detail"]) < 400
    assert "location" not in answer.headers
    assert api.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "nul\x00byte.wav",
        "a\r\nSet-Cookie: x=y",
        "\x1b[31mred",
        "x" * 3_000,
        "\u202etxt.wav",
    ],
)
def test_file_names_do_nothing(api: httpx.Client, name: str) -> None:
    answer = post(api, "/classify", name=name)
    assert answer.status_code == 202
    shown = answer.json()["input"]["filename"]
    assert shown.isprintable() or shown == "\u202etxt.wav"
    assert "/" not in shown
    assert len(shown) <= 200
    assert "set-cookie" not in answer.headers


def test_a_file_name_without_end_is_no_form(api: httpx.Client) -> None:
    assert_problem(post(api, "/classify", name="x" * 10_000), 400, "bad-request")


def test_what_needs_too_much_memory_is_refused_and_the_api_goes_on(
    start_api: StartApi, models: Catalog
) -> None:
    api = start_api(decoder_memory_bytes=LITTLE_MEMORY_BYTES)
    for _ in range(2):
        problem = assert_problem(post(api, "/classify", data=LARGE), 422, "decoder-died")
        assert problem["cause"] == "memory"
        assert problem["memory_bytes"] == LITTLE_MEMORY_BYTES
        assert post(api, "/classify").status_code == 202
    assert "timbrescope_decoder_deaths_total 2.0" in api.get("/metrics").text


def test_a_fork_server_that_was_killed_is_missed_by_nobody(api: httpx.Client) -> None:
    assert post(api, "/classify").status_code == 202
    for pid in _fork_servers():
        os.kill(pid, signal.SIGKILL)
    assert post(api, "/classify", data=wav(0.5)).status_code == 202


def _fork_servers() -> list[int]:
    tasks = Path("/proc/self/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    found = [pid for pid, command in commands.items() if b"ml.sandbox.forkserver" in command]
    assert found
    return found
