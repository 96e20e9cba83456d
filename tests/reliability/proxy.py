"""A way to Redis that can be cut: a proxy on a unix socket, between clients and the real server.

Conventions: bytes pass as they are. A cut closes connections at once, midway through whatever they carry.
A swallowed answer never comes back although Redis has done what it was asked: its connection is closed.
"""

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK_BYTES = 1 << 16


class Proxy:
    """Passes on what comes to `path` to the Redis at `redis_url` (a unix socket), while the context lasts."""

    def __init__(self, path: Path, redis_url: str) -> None:
        self.url = f"unix://{path}"
        self.n_cut = 0
        self._path = path
        self._behind = urlsplit(redis_url).path
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._to_swallow = b""
        self._is_armed = False
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(512)
        self._thread = threading.Thread(
            target=self._accept, args=(self._listener,), name="proxy", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        assert self._thread is not None
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.cut()
        os.unlink(self._path)

    def cut(self) -> int:
        """Closes every connection of this moment; how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _end(pair)
        self.n_cut += len(pairs)
        return len(pairs)

    def swallow_answer_to(self, command: bytes) -> None:
        """The next answer to a request that has these bytes in it never arrives."""
        with self._lock:
            self._to_swallow, self._is_armed = command, True

    @property
    def has_swallowed(self) -> bool:
        """Whether such an answer came."""
        return not self._is_armed

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._behind)
            except OSError:
                _end((client, server))
                continue
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            asked = threading.Event()
            for pump in (self._ask, self._answer):
                threading.Thread(target=pump, args=(pair, asked), daemon=True).start()

    def _ask(self, pair: tuple[socket.socket, socket.socket], asked: threading.Event) -> None:
        client, server = pair
        tail = b""
        with suppress(OSError):
            while data := client.recv(_CHUNK_BYTES):
                with self._lock:
                    if self._is_armed and self._to_swallow in tail + data:
                        self._is_armed = False
                        asked.set()
                tail = data[-len(self._to_swallow) :] if self._to_swallow else b""
                server.sendall(data)
        self._close(pair)

    def _answer(self, pair: tuple[socket.socket, socket.socket], asked: threading.Event) -> None:
        client, server = pair
        with suppress(OSError):
            while data := server.recv(_CHUNK_BYTES):
                if asked.is_set():
                    break
                client.sendall(data)
        self._close(pair)

    def _close(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        _end(pair)


def _end(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
