"""A fork server as the process that uses it sees it: started when needed, and again when it died.

Conventions: safe to use from several threads. The server learns nothing of its starter's environment but what
programs need to run, so that no key or password lies in the memory in which recordings are decoded. That is
no wall: a decoder that a file has taken over runs as the user of the service, and reads what that user may
read, key files and the environments of other processes (`/proc`) included. The server is in a session of its
own, where no Ctrl-C reaches it, and ends when its control socket does, when its starter ends at the latest.
"""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import ml
from ml.sandbox.errors import SandboxUnavailableError
from ml.sandbox.limits import LARGE_PAGES
from ml.sandbox.wire import FATE

# What of the environment the fork server is told: where programs, libraries and SoundFonts lie, and the
# language of messages.
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "TIMBRESCOPE_SOUNDFONT_PATH",
)
# One computing thread, so that a fork leaves none behind; one arena of memory, which limits count, in huge
# pages and in one piece: a fork copies an entry for each page, and a child's sound would take a thousand.
CALM = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "GLIBC_TUNABLES": LARGE_PAGES,
}
# A recording is handed over in few pieces.
SEND_BUFFER_BYTES = 1 << 20
STOP_S = 5.0
FATE_S = 5.0


class Child:
    """A child that was just forked; killed at the latest when the context ends."""

    def __init__(self, conversation: socket.socket, fate: socket.socket) -> None:
        self.conversation = conversation
        self._fate = fate

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.conversation.close()
        self._fate.close()  # which the server takes as an order to kill

    def exit_code(self) -> int | None:
        """Its exit code, or the negative number of the signal that killed it; None if it never came to be."""
        self._fate.settimeout(FATE_S)
        try:
            told = self._fate.recv(FATE.size)
        except OSError:
            return None
        return int(FATE.unpack(told)[0]) if len(told) == FATE.size else None


class Server:
    """A fork server for the tasks of a module."""

    def __init__(self, tasks_module: str) -> None:
        self._tasks_module = tasks_module
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Starts it, unless it runs. Does not wait until it is ready: what it is asked for waits there."""
        with self._lock:
            self._start()

    def fork(self) -> Child:
        """A new child.

        Raises
        ------
        SandboxUnavailableError
            When the server cannot be reached even after a new start.
        """
        for _ in range(2):
            with self._lock:
                control = self._start()
                ours, theirs = socket.socketpair()
                our_fate, their_fate = socket.socketpair()
                for end in (ours, theirs):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
                with theirs, their_fate:
                    try:
                        socket.send_fds(control, [b"c"], [theirs.fileno(), their_fate.fileno()])
                    except OSError:
                        ours.close()
                        our_fate.close()
                        self._stop()
                        continue
                return Child(ours, our_fate)
        raise SandboxUnavailableError("The process in which recordings are read cannot be started.")

    def stop(self) -> None:
        """Ends it and all of its children."""
        with self._lock:
            self._stop()

    def _start(self) -> socket.socket:
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self._stop()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "ml.sandbox.forkserver",
                    str(theirs.fileno()),
                    self._tasks_module,
                ],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._control = ours
        return ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


def _environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    here = str(Path(ml.__file__).resolve().parents[1])
    return {**passed_on, **CALM, "PYTHONPATH": here}
