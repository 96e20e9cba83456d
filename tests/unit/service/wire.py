"""A client that sends bytes as they are, for requests that no library would send."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

ANSWER_S = 20.0
"""How long an answer or the end of a connection may take; a failing test waits as long."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> str:
        """The code of the problem that it is."""
        assert self.headers["content-type"] == "application/problem+json", self
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return str(document["type"]).removeprefix("/problems/")


class Connection:
    """A connection to the API."""

    def __init__(self, api: httpx.Client) -> None:
        parts = urlsplit(str(api.base_url))
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_S)
        self._received = b""

    def send(self, *pieces: bytes) -> None:
        """Sends bytes."""
        for piece in pieces:
            self._socket.sendall(piece)

    def has_heard(self) -> bool:
        """Whether an answer, or the end of the connection, has come."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def answer(self) -> Answer:
        """The next answer."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers.get("content-length", "0"))
        while len(self._received) < size:
            self._receive()
        body, self._received = self._received[:size], self._received[size:]
        return Answer(int(first.split()[1]), headers, body)

    def n_answers(self) -> int:
        """How many answers come before the other side closes the connection."""
        count = 0
        with suppress(EOFError, ConnectionResetError):
            while True:
                self.answer()
                count += 1
        return count

    def is_closed(self) -> bool:
        """Waits until the other side has closed it; false when it sends something instead, or nothing."""
        try:
            return self._received == b"" and self._socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _receive(self) -> None:
        more = self._socket.recv(65536)
        if not more:
            raise EOFError(f"closed after {self._received!r}")
        self._received += more

    def close(self) -> None:
        """Ends it from this side."""
        self._socket.close()


@contextmanager
def connected(api: httpx.Client) -> Iterator[Connection]:
    """A connection, closed in the end."""
    connection = Connection(api)
    try:
        yield connection
    finally:
        connection.close()


def head(first: str, *headers: str, host: str = "localhost") -> bytes:
    """A request's line and headers."""
    return "\r\n".join((first, f"Host: {host}", *headers, "", "")).encode("latin-1")
