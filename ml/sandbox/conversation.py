"""The asking side of a conversation with a child: everything has its time, and nothing blocks unheard.

Conventions: while it waits, `on_wait` is called every `TICK_S`; it may raise to give up. What a child sends
is read into room that was made for it, never more than that.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ml.sandbox.errors import GarbledError
from ml.sandbox.wire import read_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TICK_S = 0.2


class ConversationOver(Exception):  # noqa: N818  # an end, which may be as it should
    """The child hung up."""


class OutOfTime(Exception):  # noqa: N818
    """The deadline is over."""


class Conversation:
    """What is said to a child and heard from it, until `deadline` (`time.monotonic`)."""

    def __init__(
        self, ours: socket.socket, deadline: float, on_wait: Callable[[], None] | None = None
    ) -> None:
        self._socket = ours
        self._socket.settimeout(TICK_S)
        self._deadline = deadline
        self._on_wait = on_wait

    def send(self, data: bytes) -> None:
        """Says all of it."""
        left = memoryview(data)
        while left:
            left = left[self._once(partial(self._socket.send, left)) :]

    def receive(self) -> dict[str, Any]:
        """The next document; raises `GarbledError` when it is none."""
        try:
            return read_frame(self)
        except ValueError as error:
            raise GarbledError(str(error)) from error

    def receive_samples(self, room: NDArray[np.float32]) -> None:
        """Fills the room with samples."""
        left = room.data.cast("B")
        while left:
            left = left[self._heard(left) :]

    def read(self, n_bytes: int) -> bytes:
        """The next bytes."""
        room = bytearray(n_bytes)
        left = memoryview(room)
        while left:
            left = left[self._heard(left) :]
        return bytes(room)

    def _heard(self, room: memoryview) -> int:
        n_bytes = self._once(partial(self._socket.recv_into, room))
        if n_bytes == 0:
            raise ConversationOver
        return n_bytes

    def _once(self, act: Callable[[], int]) -> int:
        while True:
            if time.monotonic() > self._deadline:
                raise OutOfTime
            try:
                return act()
            except TimeoutError:
                if self._on_wait is not None:
                    self._on_wait()
            except ConnectionError as error:
                raise ConversationOver from error


class Sounds:
    """The parts of sound that a child sends, within bounds.

    Parameters
    ----------
    most_parts : int
    most_samples : int
        In each part.
    """

    # The decoder lets no louder sample through, and no number that is none (`ml.media.decoding`).
    MAX_LEVEL = 2.0**32

    def __init__(self, most_parts: int, most_samples: int) -> None:
        self._most_parts = most_parts
        self._most_samples = most_samples
        self._parts: list[NDArray[np.float32]] = []
        self._n_filled: list[int] = []

    def take(self, document: dict[str, Any], conversation: Conversation) -> None:
        """Makes room for what a frame announces, and fills it."""
        import numpy as np  # the API has children look at structure alone, and needs none

        part, n_samples = document.get("part"), document.get("n_samples")
        if type(part) is not int or type(n_samples) is not int or n_samples < 1:
            raise GarbledError(f"{n_samples!r} samples of part {part!r}.")
        if part == len(self._parts) < self._most_parts:
            self._parts.append(np.empty(0, np.float32))
            self._n_filled.append(0)
        if part != len(self._parts) - 1 or n_samples > self._most_samples - self._n_filled[part]:
            raise GarbledError(f"{n_samples} more samples of part {part}.")
        first = self._n_filled[part]
        needed = first + n_samples
        if needed > len(self._parts[part]):  # most sounds come in one piece; others may go on for long
            size = max(needed, min(2 * first, self._most_samples))
            self._parts[part].resize(size, refcheck=False)
        room = self._parts[part][first:needed]
        conversation.receive_samples(room)
        if not (room.min() >= -self.MAX_LEVEL and room.max() <= self.MAX_LEVEL):
            raise GarbledError("Samples that no decoder lets through.")
        self._n_filled[part] += n_samples

    def finished(self) -> tuple[NDArray[np.float32], ...]:
        """The parts, each as long as it became; the room beyond is given back."""
        for samples, n_samples in zip(self._parts, self._n_filled, strict=True):
            samples.resize(n_samples, refcheck=False)  # a large array shrinks where it lies
        return tuple(self._parts)
