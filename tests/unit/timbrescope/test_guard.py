"""The guard ends what it watches over when its standard input closes, and nothing else."""

import signal
import subprocess
import sys
import time

import pytest

from timbrescope.guard import end_groups, follow, signal_group

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "60"], start_new_session=True)


def test_groups_are_watched_until_they_are_forgotten() -> None:
    assert follow(["+10\n", "+11\n", "-10\n", "-99\n"]) == {11}


def test_a_closed_pipe_ends_what_is_still_watched() -> None:
    guard = subprocess.Popen(
        [sys.executable, "-m", "timbrescope.guard"], stdin=subprocess.PIPE, start_new_session=True
    )
    watched, forgotten = sleeper(), sleeper()
    try:
        assert guard.stdin is not None
        with guard.stdin as pipe:
            pipe.write(f"+{watched.pid}\n+{forgotten.pid}\n-{forgotten.pid}\n".encode())
        assert watched.wait(timeout=20) == -signal.SIGTERM
        assert guard.wait(timeout=20) == 0
        assert forgotten.poll() is None
    finally:
        for process in (watched, forgotten):
            process.kill()
            process.wait()


def test_who_ignores_the_request_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True
    ) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        end_groups([stubborn.pid], grace_s=0.2)
        assert stubborn.wait(timeout=10) == -signal.SIGKILL


def test_a_group_that_is_gone_is_no_error() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()
    assert not signal_group(process.pid, signal.SIGTERM)
    started = time.monotonic()
    end_groups([process.pid], grace_s=30)
    assert time.monotonic() - started == pytest.approx(0, abs=5)
