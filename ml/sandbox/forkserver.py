"""The fork server: a process that has imported what reads recordings, and forks a child for each of them.

Conventions: whoever started it holds the other end of its control socket. One byte on it brings two open
sockets: the child's conversation, and the child's *fate*, on which the server tells how the child ended (its
exit code, or the negative number of the signal that killed it), and whose end is the order to kill the child.
When the control socket ends, so does everything here. The server has one thread, reads nothing that a client
sent and imports nothing after its start, so that a fork copies no half-done work. One child is always forked
ahead: it is the next recording's, which need not wait for the fork.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from ml.sandbox import child
from ml.sandbox.child import Task
from ml.sandbox.limits import give_back_free_memory
from ml.sandbox.wire import FATE

FDS_PER_CHILD = 2


@dataclass(frozen=True)
class Spare:
    """A child that waits for its conversation."""

    pid: int
    handover: socket.socket


class ForkServer:
    """The server's loop and the children that live."""

    def __init__(self, control: socket.socket, tasks: dict[str, Task]) -> None:
        self._control = control
        self._tasks = tasks
        self._fates: dict[int, socket.socket] = {}
        self._spare: Spare | None = None
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
        self._spare = self._fork()
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._take_order():
                        self._kill_all()
                        return
                elif key.fileobj is self._woken:
                    self._bury()
                elif isinstance(key.data, int) and key.data in self._fates:
                    self._kill(key.data)

    def _take_order(self) -> bool:
        """Gives a child its conversation; False when nobody is left to order one."""
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
        pid = self._hand_over(conversation_fd)
        os.close(conversation_fd)
        if pid is None:
            os.close(fate_fd)
        else:
            fate = socket.socket(fileno=fate_fd)
            self._fates[pid] = fate
            self._selector.register(fate, selectors.EVENT_READ, pid)
        self._spare = self._fork()
        return True

    def _hand_over(self, conversation_fd: int) -> int | None:
        """The child that has the conversation now; None where no process can be had."""
        for _ in range(2):
            spare, self._spare = self._spare or self._fork(), None
            if spare is None:
                return None
            with spare.handover:
                try:
                    socket.send_fds(spare.handover, [b"c"], [conversation_fd])
                except OSError:  # somebody has killed it
                    continue
            return spare.pid
        return None

    def _fork(self) -> Spare | None:
        """A child ahead of its recording; None where no process can be had just now."""
        server_pid = os.getpid()
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            return None
        with theirs:
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                return None
            if pid == 0:
                child.run(theirs.fileno(), self._tasks, server_pid)
        return Spare(pid, ours)

    def _kill(self, pid: int) -> None:
        self._selector.unregister(self._fates[pid])
        os.kill(pid, signal.SIGKILL)  # its zombie keeps the id until it is buried below

    def _bury(self) -> None:
        with suppress(BlockingIOError):
            while self._woken.recv(1_024):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            fate = self._fates.pop(pid, None)
            if fate is None:  # a child without a recording
                self._forget_spare(pid)
                continue
            with suppress(KeyError):
                self._selector.unregister(fate)
            with suppress(OSError):  # nobody wants to know any more
                fate.send(FATE.pack(os.waitstatus_to_exitcode(status)))
            fate.close()

    def _forget_spare(self, pid: int) -> None:
        """Once a child is buried its id may be anybody's; the next recording's is forked when it comes."""
        if self._spare is not None and self._spare.pid == pid:
            self._spare.handover.close()
            self._spare = None

    def _kill_all(self) -> None:
        spares = [] if self._spare is None else [self._spare.pid]
        for pid in (*self._fates, *spares):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while True:
                os.wait()


def main(control_fd: int, tasks_module: str) -> None:
    """Be the fork server of the tasks that a module names in `TASKS`."""
    tasks: dict[str, Task] = import_module(tasks_module).TASKS
    gc.collect()
    give_back_free_memory()
    gc.freeze()  # else every child's first collection would copy what it shares with us
    ForkServer(socket.socket(fileno=control_fd), tasks).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
