"""The sandbox: asks a child of its own for each task, and says what became of children that did not answer.

Conventions: safe to use from several threads; as many children as `most_at_once` live at a time, the others
wait their turn. A child that dies, says nonsense or takes too long is a `DecoderDiedError`, whose sentence
tells the person who sent the recording what happened to it; `on_death` is told as well.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ml.sandbox.conversation import Conversation, ConversationOver, OutOfTime, Sounds
from ml.sandbox.errors import (
    DecoderBusyError,
    DecoderDiedError,
    DecoderFaultError,
    GarbledError,
    SandboxUnavailableError,
    error_of,
)
from ml.sandbox.limits import SandboxLimits
from ml.sandbox.server import Child, Server
from ml.sandbox.wire import MAX_FAULT_CHARACTERS, frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

MOST_STAGE_CHARACTERS = 40
# Half an hour of progress; whoever asks may have much to do for each.
MOST_FRAMES = 20_000


class _OutOfMemory(Exception):  # noqa: N818
    """The child says so."""


class _ServerGoneError(SandboxUnavailableError):
    """The fork server died before its child could end: no fault of the recording."""


@dataclass(frozen=True)
class Request:
    """What a child is to do: one of its tasks, with arguments of JSON, on a recording.

    `most_parts` and `most_samples` bound the sound that may come back.
    """

    task: str
    arguments: Mapping[str, object]
    data: bytes
    most_parts: int = 0
    most_samples: int = 0


@dataclass(frozen=True)
class Reply:
    """A task's result: a `value`, which is the child's word and no more, and sounds, each `(n_samples,)`."""

    value: object
    sounds: tuple[NDArray[np.float32], ...]


class Sandbox:
    """Children for the tasks of one module.

    Parameters
    ----------
    tasks_module : str
        Its `TASKS` are what can be asked for.
    limits : SandboxLimits
        For every call.
    most_at_once : int
    on_death : callable, optional
        Called with every `DecoderDiedError` before it is raised.
    """

    def __init__(
        self,
        tasks_module: str,
        limits: SandboxLimits,
        *,
        most_at_once: int,
        on_death: Callable[[DecoderDiedError], None] | None = None,
    ) -> None:
        self.limits = limits
        self._server = Server(tasks_module)
        self._places = threading.BoundedSemaphore(most_at_once)
        self._on_death = on_death

    @property
    def server_pid(self) -> int | None:
        """The process id of the fork server, while it runs."""
        return self._server.pid

    def start(self) -> None:
        """Starts the fork server ahead of the first call; does not wait for it."""
        self._server.start()

    def close(self) -> None:
        """Ends the fork server and every child."""
        self._server.stop()

    def call(
        self,
        request: Request,
        *,
        on_progress: Progress | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> Reply:
        """Has a task done.

        Parameters
        ----------
        request : Request
        on_progress : callable, optional
            Called with what the task says of its progress: stage, done, in all. May raise to give up.
        on_wait : callable, optional
            Called several times a second while nothing comes. May raise to give up.

        Raises
        ------
        TimbrescopeError
            What the task raised, as far as it may (`ml.sandbox.errors`).
        DecoderDiedError, DecoderBusyError, SandboxUnavailableError
        DecoderFaultError
            When the task raised anything else.
        """
        try:
            return self._ask(request, on_progress, on_wait)
        except _ServerGoneError:  # a new one is started, and asked once
            return self._ask(request, on_progress, on_wait)

    def _ask(
        self, request: Request, on_progress: Progress | None, on_wait: Callable[[], None] | None
    ) -> Reply:
        deadline = time.monotonic() + self.limits.wall_s
        with self._place(), self._server.fork() as child:
            try:
                return self._converse(
                    request, Conversation(child.conversation, deadline, on_wait), on_progress
                )
            except ConversationOver:
                death = self._death_of(child)
            except _OutOfMemory:
                death = self._out_of_memory()
            except OutOfTime:
                death = self._took_too_long(self.limits.wall_s, "on the clock")
            except GarbledError as error:
                log.error("a decoder said what none may say", extra={"said": str(error)})
                death = _death("The recording made its decoder answer what is no answer.", cause="garbled")
        if self._on_death is not None:
            self._on_death(death)
        raise death

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self.limits.wall_s):
            raise DecoderBusyError("Too many recordings are being looked at just now; try again later.")
        try:
            yield
        finally:
            self._places.release()

    def _converse(self, request: Request, told: Conversation, on_progress: Progress | None) -> Reply:
        told.send(
            frame(
                {
                    "task": request.task,
                    "arguments": dict(request.arguments),
                    "limits": asdict(self.limits),
                    "n_bytes": len(request.data),
                }
            )
        )
        told.send(request.data)
        sounds = Sounds(request.most_parts, request.most_samples)
        for _ in range(MOST_FRAMES):
            document = told.receive()
            match document.get("kind"):
                case "progress":
                    stage, done, total = _progress(document)
                    if on_progress is not None:
                        on_progress(stage, done, total)
                case "sound":
                    sounds.take(document, told)
                case "result":
                    return Reply(document.get("value"), sounds.finished())
                case "error":
                    raise error_of(document)
                case "memory":
                    raise _OutOfMemory
                case "fault":
                    raise DecoderFaultError(str(document.get("text"))[:MAX_FAULT_CHARACTERS])
                case kind:
                    raise GarbledError(f"A frame of kind {str(kind)[:60]!r}.")
        raise GarbledError(f"More than {MOST_FRAMES} frames.")

    def _death_of(self, child: Child) -> DecoderDiedError:
        """What killed a child that hung up."""
        code = child.exit_code()
        if code is None:
            raise _ServerGoneError("The process in which the recording was to be read is gone.")
        if code == -signal.SIGXCPU:
            return self._took_too_long(self.limits.cpu_s, "of computing")
        if code < 0:
            name = _signal_name(-code)
            return _death(
                f"The recording broke the decoder: its process was ended by {name}.",
                cause="signal",
                signal=name,
            )
        return _death(
            f"The recording broke the decoder: its process ended early, with code {code}.", cause="exit"
        )

    def _took_too_long(self, limit_s: float, how: str) -> DecoderDiedError:
        return _death(
            f"The recording could not be read within {limit_s:g} s {how}.", cause="time", time_s=limit_s
        )

    def _out_of_memory(self) -> DecoderDiedError:
        limit = self.limits.memory_bytes
        return _death(
            f"The recording cannot be read in {limit} bytes of memory.", cause="memory", memory_bytes=limit
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal, which has none
        return f"signal {number}"


def _death(message: str, **extra: object) -> DecoderDiedError:
    return DecoderDiedError(message, extra=extra)


def _progress(document: Mapping[str, object]) -> tuple[str, int, int]:
    stage, done, total = document.get("stage"), document.get("done"), document.get("total")
    if not isinstance(stage, str) or len(stage) > MOST_STAGE_CHARACTERS:
        raise GarbledError("Progress in no stage.")
    if type(done) is not int or type(total) is not int or not 0 <= done <= total < 2**31:
        raise GarbledError(f"Progress of {done!r} in {total!r}.")
    return stage, done, total
