"""Decoders that die, or want more than they may have: that costs attempts, and neither worker nor API.

One service with little memory and time for each recording; its one process is the same at the end.
"""

import os
import re
import shutil
import signal
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ml.sandbox.sound import AUDIO_TASKS_MODULE, TASKS_MODULE
from tests.integration import sounds
from tests.integration.processes import Stack, running_stack, wait_until
from tests.unit.ml.media.files import midi, number
from worker.figures import Figures
from worker.store import JobStore, Lifetimes

# More than a fork server has mapped; less than two copies of ten minutes of sound on top of it.
MEMORY_BYTES = 275_000_000
TIME_S = 2
MAX_ATTEMPTS = 3
SOON_S = 120.0
CANCELLED_S = 5.0
# What the two sandboxes of a process are for.
MIDI, AUDIO = TASKS_MODULE, AUDIO_TASKS_MODULE


def crowded(duration_s: float) -> bytes:
    """A MIDI file of 240 notes that sound all along: about a tenth of its length to render."""
    keys = [(channel, key) for channel in range(15) for key in range(40, 56)]
    on = b"".join(bytes([0, 0x90 | channel, key, 100]) for channel, key in keys)
    return midi(on + number(round(duration_s * 960)) + struct.pack("BBB", 0x80, 40, 0))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="ts-deaths-"))
    with running_stack(
        folder,
        TIMBRESCOPE_CONCURRENCY="1",
        TIMBRESCOPE_DECODER_MEMORY_BYTES=str(MEMORY_BYTES),
        TIMBRESCOPE_DECODER_TIME_S=str(TIME_S),
        TIMBRESCOPE_MAX_ATTEMPTS=str(MAX_ATTEMPTS),
        TIMBRESCOPE_STATE_DIR=str(folder / "state"),
    ) as started:
        (process,) = started.worker.children()
        yield started
        assert started.worker.children() == [process], "the worker's process died"
    shutil.rmtree(folder)


def test_what_takes_too_long_fails_after_the_last_attempt(stack: Stack) -> None:
    n_before = deaths(stack)
    job = finished(stack, submitted(stack, crowded(300.0)))
    assert job["status"] == "failed"
    error = job["error"]
    assert (error["type"], error["status"]) == ("/problems/decoder-died", 422)
    assert (error["cause"], error["time_s"]) == ("time", TIME_S)
    assert error["title"] == "The recording broke its decoder"
    assert f"{TIME_S} s of computing" in error["detail"]
    assert store(stack).get(job["id"]).attempts == MAX_ATTEMPTS
    assert deaths(stack) == n_before + MAX_ATTEMPTS
    works(stack)


def test_what_needs_too_much_memory_fails_after_the_last_attempt(stack: Stack) -> None:
    job = finished(stack, submitted(stack, crowded(590.0)))
    assert job["error"]["type"] == "/problems/decoder-died"
    assert (job["error"]["cause"], job["error"]["memory_bytes"]) == ("memory", MEMORY_BYTES)
    assert store(stack).get(job["id"]).attempts == MAX_ATTEMPTS
    works(stack)


def test_a_decoder_that_crashes_costs_an_attempt(stack: Stack) -> None:
    n_before = deaths(stack)
    href = submitted(stack, crowded(5.0))
    os.kill(a_child(stack), signal.SIGSEGV)
    job = finished(stack, href)
    assert job["status"] == "succeeded"
    assert store(stack).get(job["id"]).attempts == 2
    assert deaths(stack) == n_before + 1
    assert 'attempts_lost_total{cause="decoder"}' in stack.client.get("/metrics").text


def test_a_fork_server_that_is_killed_costs_no_attempt(stack: Stack) -> None:
    href = submitted(stack, crowded(5.0))
    a_child(stack)
    os.kill(fork_server(stack), signal.SIGKILL)
    job = finished(stack, href)
    assert job["status"] == "succeeded"
    assert store(stack).get(job["id"]).attempts == 1


def test_an_audio_decoder_that_is_killed_costs_an_attempt(stack: Stack) -> None:
    works(stack)  # there is a server, and a child that waits
    n_before = deaths(stack)
    with a_held_child(stack) as pid:
        href = submitted(stack, sounds.audio_file(sounds.tone(1.0)))
        wait_until(lambda: len(children(fork_server(stack, AUDIO))) == 2, SOON_S, "the child's recording")
        os.kill(pid, signal.SIGKILL)
        job = finished(stack, href)
    assert job["status"] == "succeeded"
    assert store(stack).get(job["id"]).attempts == 2
    assert deaths(stack) == n_before + 1
    works(stack)


def test_an_audio_fork_server_that_is_killed_costs_no_attempt(stack: Stack) -> None:
    works(stack)
    n_before = deaths(stack)
    with a_held_child(stack):
        href = submitted(stack, sounds.audio_file(sounds.tone(1.0)))
        server = fork_server(stack, AUDIO)
        wait_until(lambda: len(children(server)) == 2, SOON_S, "the child's recording")
        os.kill(server, signal.SIGKILL)
        job = finished(stack, href)
    assert job["status"] == "succeeded"
    assert store(stack).get(job["id"]).attempts == 1
    assert deaths(stack) == n_before
    works(stack)


def test_a_cancelled_job_stops_decoding(stack: Stack) -> None:
    href = submitted(stack, crowded(300.0))
    pid = a_child(stack)
    started = time.monotonic()
    assert stack.client.delete(href).json()["status"] == "cancelled"
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), CANCELLED_S, "the end of the decoder")
    assert at_work(fork_server(stack)) == []
    assert time.monotonic() - started < TIME_S, "it was not cancelled, its time was over"
    works(stack)


def submitted(stack: Stack, data: bytes) -> str:
    answer = stack.client.post("/classify", files={"file": ("clip", data)})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["links"]["self"])


def finished(stack: Stack, href: str) -> dict[str, Any]:
    job: dict[str, Any] = {}

    def ended() -> bool:
        job.update(stack.client.get(href).json())
        return job["finished_at"] is not None

    wait_until(ended, SOON_S, "the end of the job")
    return job


def works(stack: Stack) -> None:
    """Whatever was, the next recording is listened to."""
    wav = sounds.audio_file(sounds.tone(1.0))
    answer = stack.client.post("/classify", files={"file": ("x", wav)}, headers={"Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text


@contextmanager
def a_held_child(stack: Stack) -> Iterator[int]:
    """The child that waits for the next audio file, which stands still meanwhile: such files are read too
    fast to be caught at it. When it is given its recording the server forks another one that waits.
    """
    server = fork_server(stack, AUDIO)
    wait_until(lambda: len(children(server)) == 1 and not at_work(server), SOON_S, "a child that waits")
    (pid,) = children(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def fork_server(stack: Stack, tasks_module: str = MIDI) -> int:
    (process,) = stack.worker.children()
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(process)}
    found = [pid for pid, command in commands.items() if tasks_module.encode() in command]
    assert len(found) == 1
    return found[0]


def a_child(stack: Stack) -> int:
    """The process that decodes, as soon as there is one."""
    wait_until(lambda: bool(at_work(fork_server(stack))), SOON_S, "a decoder", every_s=0.005)
    (pid,) = at_work(fork_server(stack))
    return pid


def at_work(server: int) -> list[int]:
    """Its children without the one that waits for the next recording: they may write no files."""
    limits = ((pid, Path(f"/proc/{pid}/limits").read_text()) for pid in children(server))
    return [pid for pid, text in limits if re.search(r"Max file size +0 ", text)]


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def deaths(stack: Stack) -> int:
    with Redis.from_url(stack.redis_url) as redis:
        return sum(Figures(redis).collect().counters.get("decoder_deaths", {}).values())


def store(stack: Stack) -> JobStore:
    return JobStore(Redis.from_url(stack.redis_url), Lifetimes(60.0, 60.0, 60.0))
