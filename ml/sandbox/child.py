"""The child: one recording, one task, one answer, and an end.

Conventions: it runs in a process that was forked for it, a little ahead of its recording: it makes itself
ready and waits for its conversation. It binds itself before it reads the recording, holds no other open file
than its conversation, and ends without running anything that its parent had prepared for its own end.
"""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ml.errors import TimbrescopeError
from ml.sandbox.errors import error_document
from ml.sandbox.limits import SandboxLimits, confine, die_with
from ml.sandbox.wire import MAX_FAULT_CHARACTERS, Reader, frame, read_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONVERSATION_FD = 3
PROGRESS_EVERY_S = 0.1
PASSED_BYTES = 2**16
# Prepared here, because there will be no memory for it when it is needed.
_OUT_OF_MEMORY = frame({"kind": "memory"})


class Answer:
    """What a task tells before its result."""

    def __init__(self, conversation: socket.socket) -> None:
        self._conversation = conversation
        self._stage, self._done = "", 0
        self._told_at = 0.0

    def progress(self, stage: str, done: int, total: int) -> None:
        """How far the work is; what comes too soon after the last time is not told."""
        now = time.monotonic()
        is_new = stage != self._stage or done >= total > self._done
        if not is_new and now - self._told_at < PROGRESS_EVERY_S:
            return
        self._stage, self._done, self._told_at = stage, done, now
        self._conversation.sendall(
            frame({"kind": "progress", "stage": stage, "done": int(done), "total": int(total)})
        )

    def sound(self, samples: NDArray[np.float32], part: int = 0) -> None:
        """Samples `(n,)`, of the result's first part or of another; parts come one after the other."""
        if len(samples) == 0:
            return
        import numpy as np  # here already, where there are tasks that have samples

        self._conversation.sendall(frame({"kind": "sound", "part": part, "n_samples": len(samples)}))
        self._conversation.sendall(np.ascontiguousarray(samples, np.float32).data.cast("B"))


Task = Callable[[dict[str, Any], bytes, Answer], dict[str, object]]


def run(handover_fd: int, tasks: Mapping[str, Task], parent_pid: int) -> None:
    """Be the child, whose conversation is handed over once there is one. Does not return."""
    try:
        die_with(parent_pid)
        _leave_the_parent_behind(handover_fd)
        if _await_conversation():
            _do(tasks)
    finally:
        os._exit(0)


def _leave_the_parent_behind(handover_fd: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Decoders written in C complain on the standard streams, at whatever length the file wants them to.
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if handover_fd != CONVERSATION_FD:
        os.dup2(handover_fd, CONVERSATION_FD)
    os.closerange(CONVERSATION_FD + 1, os.sysconf("SC_OPEN_MAX"))


def _await_conversation() -> bool:
    """Puts the conversation in the place of the handover; False when none will come."""
    handover = socket.socket(fileno=CONVERSATION_FD)
    _, fds, _, _ = socket.recv_fds(handover, 1, 1)
    handover.detach()
    for fd in fds:
        os.dup2(fd, CONVERSATION_FD)
        os.close(fd)
    return len(fds) == 1


def _do(tasks: Mapping[str, Task]) -> None:
    conversation = socket.socket(fileno=CONVERSATION_FD)
    with open(CONVERSATION_FD, "rb", closefd=False) as stream:
        request = read_frame(stream)
        confine(SandboxLimits(**request["limits"]))
        try:
            data = _recording(stream, request["n_bytes"])
            value = tasks[request["task"]](request["arguments"], data, Answer(conversation))
            last = frame({"kind": "result", "value": value})
        except MemoryError:
            last = _OUT_OF_MEMORY
        except TimbrescopeError as error:
            last = frame(error_document(error))
        except Exception:
            text = traceback.format_exc()[-MAX_FAULT_CHARACTERS:]
            last = frame({"kind": "fault", "text": text})
        conversation.sendall(last)


def _recording(stream: Reader, n_bytes: int) -> bytes:
    """Reads it straight into one object; without memory for that it is passed by: the answer comes last."""
    try:
        return stream.read(n_bytes)
    except MemoryError:
        while n_bytes > 0:
            n_bytes -= len(stream.read(min(n_bytes, PASSED_BYTES))) or n_bytes
        raise
