"""The fork server: a process that has imported what reads recordings, and forks a child for each of them.

Conventions: whoever started it holds the other end of its control socket. One byte on it brings two open
sockets: the child's conversation, and the child's *fate*, on which the server tells how the child ended (its
exit code, or the negative number of the signal that killed it), and whose end is the order to kill the child.
When the control socket ends, so does everything here. The server has one thread, reads nothing that a client
sent and imports nothing after its start, so that a fork copies no half-done work.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

from ml.sandbox import child
from ml.sandbox.child import Task
from ml.sandbox.wire import FATE

FDS_PER_CHILD = 2


class ForkServer:
    """The server's loop and the children that live."""

    def __init__(self, control: socket.socket, tasks: dict[str, Task]) -> None:
        self._control = control
        self._tasks = tasks
        self._fates: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, wake = socket.socketpair()
        for end in (self._woken, wake):
            end.setblocking(False)
        self._wake = wake

    def serve(self) -> None:
        """Forks and buries until the control socket ends; then kills what is left."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._fork():
                        self._kill_all()
                        return
                elif key.fileobj is self._woken:
                    self._bury()
                elif isinstance(key.data, int) and key.data in self._fates:
                    self._kill(key.data)

    def _fork(self) -> bool:
        try:
            message, fds, _, _ = socket.recv_fds(self._control, 1, FDS_PER_CHILD)
        except ConnectionError:
            return False
        if not message:
            return False
        if len(fds) != FDS_PER_CHILD:  # too many open files: whoever asks sees both sockets end
            for fd in fds:
                os.close(fd)
            return True
        conversation_fd, fate_fd = fds
        server_pid = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            os.close(conversation_fd)
            os.close(fate_fd)
            return True
        if pid == 0:
            child.run(conversation_fd, self._tasks, server_pid)
        os.close(conversation_fd)
        fate = socket.socket(fileno=fate_fd)
        self._fates[pid] = fate
        self._selector.register(fate, selectors.EVENT_READ, pid)
        return True

    def _kill(self, pid: int) -> None:
        self._selector.unregister(self._fates[pid])
        os.kill(pid, signal.SIGKILL)  # its zombie keeps the id until it is buried below

    def _bury(self) -> None:
        with suppress(BlockingIOError):
            while self._woken.recv(1_024):
                pass
        while self._fates:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            fate = self._fates.pop(pid)
            with suppress(KeyError):
                self._selector.unregister(fate)
            with suppress(OSError):  # nobody wants to know any more
                fate.send(FATE.pack(os.waitstatus_to_exitcode(status)))
            fate.close()

    def _kill_all(self) -> None:
        for pid in self._fates:
            os.kill(pid, signal.SIGKILL)
        for pid in self._fates:
            os.waitpid(pid, 0)


def main(control_fd: int, tasks_module: str) -> None:
    """Be the fork server of the tasks that a module names in `TASKS`."""
    tasks: dict[str, Task] = import_module(tasks_module).TASKS
    gc.collect()
    gc.freeze()  # else every child's first collection would copy what it shares with us
    ForkServer(socket.socket(fileno=control_fd), tasks).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
