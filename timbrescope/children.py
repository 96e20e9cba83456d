"""Child processes that are kept running: started in groups of their own, restarted with back-off,
stopped in order.

Each child leads its own session, so that Ctrl-C in the terminal reaches the launcher alone, which
then stops the children one after the other; and whatever a child starts (Celery's pool) belongs to
its group and goes with it. `timbrescope.guard` ends the groups if the launcher is killed.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from timbrescope.errors import LaunchError
from timbrescope.guard import signal_group

PYTHON_MODULE = (sys.executable, "-P", "-m")
"""Runs a module of ours; -P keeps the present folder, whatever lies in it, from taking its place."""

STEADY_S = 20.0
"""A child that lived this long had started well; its death is not counted as a failure to start."""

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 10.0
MAX_QUICK_DEATHS = 5


@dataclass(frozen=True)
class Program:
    """What to run, and how to stop it: signals in turn, each with the seconds it is given."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stopping: tuple[tuple[signal.Signals, float], ...]
    hint: str = ""
    """Where to look when it keeps dying."""
    on_death: Callable[[int], None] | None = None
    """Told its process id once it, and all that it has started, are dead."""


@dataclass
class Patience:
    """Decides how long to wait before a dead child is started again, and when to give up."""

    quick_deaths: int = 0

    def after_death(self, lived_s: float) -> float | None:
        """Seconds to wait, or None when the child died too early too often."""
        self.quick_deaths = self.quick_deaths + 1 if lived_s < STEADY_S else 1
        if self.quick_deaths >= MAX_QUICK_DEATHS:
            return None
        return min(FIRST_DELAY_S * 2.0 ** (self.quick_deaths - 1), LONGEST_DELAY_S)


@dataclass
class Child:
    """A program together with its present process, if it has one."""

    program: Program
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    patience: Patience = field(default_factory=Patience)


class Supervisor:
    """Starts children, keeps them running (`mend`, to be called often) and stops them on leaving the context.

    Parameters
    ----------
    lock_fd : int
        Descriptor of a lock that the guard keeps held until it has cleared up.
    say : callable
        Told one line about every death and restart.
    """

    def __init__(self, lock_fd: int, say: Callable[[str], None]) -> None:
        self.hurry = threading.Event()  # set it, and `stop` waits for nobody
        self._lock_fd = lock_fd
        self._say = say
        self._children: list[Child] = []
        self._guard = self._start_guard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def guard_id(self) -> int:
        """Process id of the present guard."""
        return self._guard.pid

    def start(self, program: Program) -> Child:
        """Start a program and keep it running from now on."""
        child = Child(program)
        self._children.append(child)
        self._spawn(child)
        return child

    def mend(self) -> None:
        """Start again what died, when its time has come.

        Raises
        ------
        LaunchError
            When a child died `MAX_QUICK_DEATHS` times in a row within `STEADY_S` of its start.
        """
        if self._guard.poll() is not None:
            self._close_pipe()
            self._guard = self._start_guard()
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.start_again_at:
                    self._spawn(child)
            elif child.process.poll() is not None:
                self._bury(child, now)

    def stop(self) -> None:
        """Stop all children, the last one started first, and the guard."""
        while self._children:
            child = self._children.pop()
            if child.process is not None:
                self._end(child.program, child.process)
                self._tell_guard("-", child.process.pid)
        self._close_pipe()
        self._guard.wait()

    def _spawn(self, child: Child) -> None:
        program = child.program
        child.started_at = time.monotonic()
        try:
            child.process = subprocess.Popen(
                program.command,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise LaunchError(
                f"The {program.name} cannot be started ({program.command[0]}: {error.strerror})."
            ) from error
        self._tell_guard("+", child.process.pid)

    def _bury(self, child: Child, now: float) -> None:
        process, name = child.process, child.program.name
        assert process is not None
        child.process = None
        signal_group(process.pid, signal.SIGKILL)  # what it leaves behind (a pool) must not work on unwatched
        self._tell_guard("-", process.pid)
        if child.program.on_death is not None:
            child.program.on_death(process.pid)
        how = describe_exit(process.returncode)
        delay_s = child.patience.after_death(now - child.started_at)
        if delay_s is None:
            hint = f" {child.program.hint}" if child.program.hint else ""
            raise LaunchError(
                f"The {name} {how} {MAX_QUICK_DEATHS} times in a row soon after its start.{hint}"
            )
        child.start_again_at = now + delay_s
        self._say(f"The {name} {how}; starting it again in {delay_s:g} s.")

    def _end(self, program: Program, process: "subprocess.Popen[bytes]") -> None:
        for number, patience_s in program.stopping:
            process.send_signal(number)
            deadline = time.monotonic() + patience_s
            while process.poll() is None and time.monotonic() < deadline and not self.hurry.is_set():
                time.sleep(0.02)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def _start_guard(self) -> "subprocess.Popen[bytes]":
        guard = subprocess.Popen(
            [*PYTHON_MODULE, "timbrescope.guard"],
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=[self._lock_fd],
        )
        self._guard = guard
        for child in self._children:
            if child.process is not None:
                self._tell_guard("+", child.process.pid)
        return guard

    def _close_pipe(self) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()

    def _tell_guard(self, sign: str, group: int) -> None:
        assert self._guard.stdin is not None
        try:
            self._guard.stdin.write(f"{sign}{group}\n".encode())
        except BrokenPipeError:  # it was killed; `mend` starts another, which is told everything
            self._say("The guard process is gone.")


def describe_exit(code: int) -> str:
    """How a process ended, for a sentence that begins with its name."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
