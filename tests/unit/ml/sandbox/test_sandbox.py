"""Children that die, lie, hang and are no longer wanted; and what is left of them: nothing."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from ml.media import TooLongError
from ml.sandbox import DecoderBusyError, DecoderDiedError, Sandbox, SandboxLimits
from ml.sandbox.errors import DecoderFaultError
from ml.sandbox.sandbox import Request
from tests.unit.ml.sandbox.conftest import OpenSandbox
from tests.unit.ml.sandbox.hostile_tasks import GARBLED

HOSTILE = "tests.unit.ml.sandbox.hostile_tasks"
MEMORY_BYTES = 400_000_000
SOON_S = 5.0


class NoLongerWantedError(Exception):
    """What somebody raises who gives up."""


@pytest.fixture(scope="module")
def hostile(open_sandbox: OpenSandbox) -> Sandbox:
    limits = SandboxLimits(memory_bytes=MEMORY_BYTES, cpu_s=1, wall_s=10)
    return open_sandbox(HOSTILE, limits=limits)


def children(sandbox: Sandbox) -> list[int]:
    """The process ids of the children that live."""
    pid = sandbox.server_pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def at_work(sandbox: Sandbox) -> list[int]:
    """Those of them that have a recording: they have bound themselves to write no files."""
    return [pid for pid in children(sandbox) if re.search(r"Max file size +0 ", limits_of(pid))]


def limits_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return ""


def is_idle(sandbox: Sandbox) -> bool:
    """Whether there is no child but the one that waits for the next recording."""
    return len(children(sandbox)) == 1 and not at_work(sandbox)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("task", "extra"),
    [
        ("segfault", {"cause": "signal", "signal": "SIGSEGV"}),
        ("abort", {"cause": "signal", "signal": "SIGABRT"}),
        ("leave", {"cause": "exit"}),
        ("die of a nameless signal", {"cause": "signal", "signal": f"signal {signal.SIGRTMIN + 6}"}),
        ("eat memory", {"cause": "memory", "memory_bytes": MEMORY_BYTES}),
        ("eat time", {"cause": "time", "time_s": 1}),
    ],
)
def test_a_death_says_what_it_was(hostile: Sandbox, task: str, extra: dict[str, object]) -> None:
    with pytest.raises(DecoderDiedError) as caught:
        hostile.call(Request(task, {}, b"sound"))
    assert caught.value.extra == extra
    until(lambda: is_idle(hostile))


def test_what_hangs_without_computing_is_ended_as_well(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE, limits=SandboxLimits(MEMORY_BYTES, cpu_s=5, wall_s=1.5))
    started = time.monotonic()
    with pytest.raises(DecoderDiedError, match=r"within 1\.5 s on the clock"):
        sandbox.call(Request("sleep", {}, b""))
    assert time.monotonic() - started < SOON_S
    until(lambda: is_idle(sandbox))


@pytest.mark.parametrize("task", GARBLED)
def test_what_is_no_answer_is_not_believed(
    hostile: Sandbox, task: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(DecoderDiedError) as caught:
        hostile.call(Request(task, {}, b"", most_parts=1, most_samples=1_000))
    assert caught.value.extra == {"cause": "garbled"}
    assert "said what none may say" in caplog.text


def test_errors_of_the_task_come_out_as_themselves(hostile: Sandbox) -> None:
    with pytest.raises(TooLongError, match="It lasts 9 s; the limit is 1 s") as caught:
        hostile.call(Request("raise", {}, b""))
    assert caught.value.extra == {"duration_s": 9.0}


def test_a_fault_of_ours_is_told_with_its_traceback(hostile: Sandbox) -> None:
    with pytest.raises(DecoderFaultError, match="KeyError: 'no such chunk'"):
        hostile.call(Request("fault", {}, b""))


def test_a_child_sees_no_more_than_it_has_to(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMBRESCOPE_ADMIN_KEY", "secret")
    monkeypatch.setenv("TIMBRESCOPE_REDIS_URL", "redis://:secret@example.org")
    sandbox = open_sandbox(HOSTILE)
    seen = sandbox.call(Request("look around", {}, bytes(1_000))).value
    assert isinstance(seen, dict)
    assert not [name for name in seen["environment"] if "KEY" in name or "REDIS" in name]
    assert seen["files"][:4] == [0, 1, 2, 3]
    assert len(seen["files"]) == 5  # and the folder that it lists
    assert seen["wrote"] == "OSError"
    assert seen["n_bytes"] == 1_000
    assert seen["core"] == "0"
    assert seen["group"] != os.getpgrp()


def test_who_gives_up_leaves_no_child_behind(hostile: Sandbox) -> None:
    def give_up() -> None:
        assert at_work(hostile)
        raise NoLongerWantedError

    started = time.monotonic()
    with pytest.raises(NoLongerWantedError):
        hostile.call(Request("sleep", {}, b""), on_wait=give_up)
    with pytest.raises(NoLongerWantedError):
        hostile.call(Request("report on", {}, b""), on_progress=lambda *_: give_up())
    assert time.monotonic() - started < SOON_S
    until(lambda: is_idle(hostile))


def test_others_wait_for_their_turn_and_not_for_ever(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE, limits=SandboxLimits(MEMORY_BYTES, 5, wall_s=1.0), most_at_once=1)
    taken, released = Event(), Event()

    def hold() -> None:
        def wait() -> None:
            taken.set()
            if released.wait():
                raise NoLongerWantedError

        with pytest.raises(NoLongerWantedError):
            sandbox.call(Request("sleep", {}, b""), on_wait=wait)

    holder = Thread(target=hold)
    holder.start()
    try:
        assert taken.wait(SOON_S)
        with pytest.raises(DecoderBusyError):
            sandbox.call(Request("raise", {}, b""))
    finally:
        released.set()
        holder.join()
    with pytest.raises(TooLongError):
        sandbox.call(Request("raise", {}, b""))


def test_a_fork_server_that_was_killed_is_started_anew(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE)
    for _ in range(2):
        with pytest.raises(TooLongError):
            sandbox.call(Request("raise", {}, b""))
        assert sandbox.server_pid is not None
        os.kill(sandbox.server_pid, signal.SIGKILL)
        until(lambda: sandbox.server_pid is None)


def test_children_die_with_their_server(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE)
    left: list[int] = []

    def kill_the_server() -> None:
        if sandbox.server_pid is not None and at_work(sandbox):
            left.extend(children(sandbox))
            os.kill(sandbox.server_pid, signal.SIGKILL)

    with pytest.raises(Exception, match="gone"):
        sandbox.call(Request("sleep", {}, b""), on_wait=kill_the_server)
    assert left
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))


def test_who_loses_the_server_asks_once_more(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE, limits=SandboxLimits(memory_bytes=MEMORY_BYTES, cpu_s=1, wall_s=2))
    killed: list[int] = []

    def kill_the_first_server() -> None:
        if sandbox.server_pid is not None and not killed and at_work(sandbox):
            killed.append(sandbox.server_pid)
            os.kill(sandbox.server_pid, signal.SIGKILL)

    with pytest.raises(DecoderDiedError, match="on the clock"):  # the second one slept as well
        sandbox.call(Request("sleep", {}, b""), on_wait=kill_the_first_server)
    assert killed


def test_a_child_waits_ready_and_is_the_next_recordings(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE)
    with pytest.raises(TooLongError):
        sandbox.call(Request("raise", {}, b""))
    until(lambda: is_idle(sandbox))
    (spare,) = children(sandbox)
    seen = sandbox.call(Request("look around", {}, b"")).value
    assert isinstance(seen, dict)
    assert seen["pid"] == spare
    until(lambda: is_idle(sandbox))
    assert children(sandbox) != [spare]


def test_who_kills_the_child_that_waits_costs_nobody_anything(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE)
    for _ in range(3):
        with pytest.raises(TooLongError):
            sandbox.call(Request("raise", {}, b""))
        until(lambda: is_idle(sandbox))
        os.kill(children(sandbox)[0], signal.SIGKILL)
        until(lambda: children(sandbox) == [])


NOTING_KILLS = """
import os, socket, sys
from ml.sandbox.forkserver import ForkServer

def note(pid, number):
    print(pid, flush=True)
    kill(pid, number)

kill, os.kill = os.kill, note
ForkServer(socket.socket(fileno=int(sys.argv[1])), {}).serve()
"""


@pytest.mark.parametrize("dies", [True, False])
def test_a_child_that_was_buried_is_not_killed_at_the_end(dies: bool) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-c", NOTING_KILLS, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
    with ours, server:
        listed = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        until(lambda: bool(listed.read_text()))
        (spare,) = listed.read_text().split()
        if dies:
            os.kill(int(spare), signal.SIGKILL)
            until(lambda: not listed.read_text())  # which leaves its place to whoever comes next
        ours.close()
        killed, _ = server.communicate(timeout=SOON_S)
    assert killed.split() == ([] if dies else [spare])


def test_closing_leaves_nothing(open_sandbox: OpenSandbox) -> None:
    sandbox = open_sandbox(HOSTILE)
    with pytest.raises(TooLongError):
        sandbox.call(Request("raise", {}, b""))
    pid = sandbox.server_pid
    sandbox.close()
    assert sandbox.server_pid is None
    assert not Path(f"/proc/{pid}").exists()


def test_many_calls_leave_no_files_and_no_processes(hostile: Sandbox) -> None:
    with pytest.raises(TooLongError):
        hostile.call(Request("raise", {}, b""))

    def n_files() -> tuple[int, int]:
        until(lambda: is_idle(hostile))
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{hostile.server_pid}/fd"))

    before = n_files()
    for task in ("raise", "segfault", "leave") * 20:
        with pytest.raises((TooLongError, DecoderDiedError)):
            hostile.call(Request(task, {}, b"x"))
    until(lambda: n_files() == before)  # the server closes what was a child's a moment after it
