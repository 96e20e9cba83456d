"""Children are restarted with patience, given up in the end, and stopped without leaving anything behind."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from timbrescope import children
from timbrescope.children import Patience, Program, Supervisor, describe_exit
from timbrescope.errors import LaunchError

TERM = ((signal.SIGTERM, 10.0),)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    with tempfile.TemporaryFile() as lock, Supervisor(lock.fileno(), said.append) as supervisor:
        yield supervisor


def program(*command: str, stopping: tuple[tuple[signal.Signals, float], ...] = TERM) -> Program:
    return Program("helper", command, os.environ, stopping, hint="See its log.")


def script(code: str, stopping: tuple[tuple[signal.Signals, float], ...] = TERM) -> Program:
    return program(sys.executable, "-c", code, stopping=stopping)


def wait_until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process_id}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"  # a zombie has ended


def test_patience_grows_and_ends() -> None:
    patience = Patience()
    assert [patience.after_death(1.0) for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, None]


def test_a_child_that_ran_well_gets_fresh_patience() -> None:
    patience = Patience()
    for _ in range(4):
        patience.after_death(1.0)
    assert patience.after_death(children.STEADY_S + 1) == children.FIRST_DELAY_S


def test_a_killed_child_is_started_again(
    supervisor: Supervisor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_DELAY_S", 0.01)
    child = supervisor.start(program("sleep", "60"))
    assert child.process is not None
    first = child.process.pid
    os.kill(first, signal.SIGKILL)

    def is_another() -> bool:
        supervisor.mend()
        return child.process is not None and child.process.pid != first

    wait_until(is_another)
    assert said == ["The helper was ended by SIGKILL; starting it again in 0.01 s."]


def test_who_wants_to_know_is_told_of_a_death(supervisor: Supervisor) -> None:
    dead: list[int] = []
    child = supervisor.start(replace(script("raise SystemExit(1)"), on_death=dead.append))
    assert child.process is not None
    first = child.process.pid

    def is_told() -> bool:
        supervisor.mend()
        return bool(dead)

    wait_until(is_told)
    assert dead[0] == first
    assert not is_running(first)


def test_a_child_that_cannot_start_is_given_up(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_DELAY_S", 0.0)
    supervisor.start(script("raise SystemExit(3)"))

    def mend_for_ever() -> None:
        while True:
            supervisor.mend()
            time.sleep(0.01)

    with pytest.raises(LaunchError, match=r"The helper ended with code 3 5 times in a row.*See its log\."):
        mend_for_ever()


def test_a_missing_program_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(LaunchError, match="no-such-program"):
        supervisor.start(program("no-such-program"))


def test_what_a_dead_child_leaves_behind_is_ended(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_DELAY_S", 100.0)
    note = tmp_path / "pid"
    child = supervisor.start(
        script(
            f"import subprocess as s; open({str(note)!r}, 'w').write(str(s.Popen(['sleep', '60']).pid) + '.')"
        )
    )
    wait_until(lambda: note.exists() and note.read_text().endswith("."))
    grandchild = int(note.read_text().rstrip("."))

    def is_buried() -> bool:
        supervisor.mend()
        return child.process is None

    wait_until(is_buried)
    wait_until(lambda: not is_running(grandchild))


def test_stopping_goes_backwards_and_escalates(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import signal, sys, time\n"
        "def stop(number, frame):\n"
        "    open({log!r}, 'a').write('{name} ' + signal.Signals(number).name + '\\n')\n"
        "    if number == signal.{last}: sys.exit()\n"
        "for n in (signal.SIGTERM, signal.SIGQUIT): signal.signal(n, stop)\n"
        "open({log!r}, 'a').write('{name} up\\n')\n"
        "time.sleep(60); time.sleep(60)\n"
    )
    stopping = ((signal.SIGTERM, 0.5), (signal.SIGQUIT, 10.0))
    with tempfile.TemporaryFile() as lock, Supervisor(lock.fileno(), print) as supervisor:
        for name, last in (("first", "SIGTERM"), ("second", "SIGQUIT")):
            supervisor.start(script(code.format(log=str(log), name=name, last=last), stopping))
            wait_until(lambda up=f"{name} up": log.exists() and up in log.read_text())  # type: ignore[misc]
    ends = [line for line in log.read_text().splitlines() if not line.endswith(" up")]
    assert ends == ["second SIGTERM", "second SIGQUIT", "first SIGTERM"]


def test_a_hurry_waits_for_nobody(supervisor: Supervisor, tmp_path: Path) -> None:
    note = tmp_path / "up"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(note)!r}, 'w'); time.sleep(60)"
    supervisor.start(script(code, stopping=((signal.SIGTERM, 60.0),)))
    wait_until(note.exists)
    supervisor.hurry.set()
    started = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - started < 10


def test_a_killed_guard_is_replaced(supervisor: Supervisor) -> None:
    before = supervisor.guard_id
    os.kill(before, signal.SIGKILL)

    def is_another() -> bool:
        supervisor.mend()
        return supervisor.guard_id != before

    wait_until(is_another)


@pytest.mark.parametrize(
    ("code", "said"),
    [(0, "ended with code 0"), (-9, "was ended by SIGKILL"), (-99, "was ended by signal 99")],
)
def test_endings_are_described(code: int, said: str) -> None:
    assert describe_exit(code) == said
