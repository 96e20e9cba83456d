"""One POST to a receiver that is not trusted.

Conventions: it is connected to where `addresses` says, by nobody's proxy, and told once; a redirect is an
answer like any other. Connecting may take `CONNECT_S` for each address, all together `TOTAL_S`, whatever the
receiver does meanwhile; only looking up its name takes as long as the system's resolver likes. Of its answer
`MOST_ANSWER_BYTES` are taken in and thrown away.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from service.webhooks.addresses import addresses_of
from service.webhooks.receivers import Receiver

CONNECT_S = 5.0
TOTAL_S = 10.0
MOST_ANSWER_BYTES = 65_536

# What goes wrong on the way to a receiver, or in what it answers.
FAILURES = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Answer:
    """What a receiver answered, and after how long it asks to be told again, where it does."""

    status: int
    retry_after_s: float | None = None


def post(receiver: Receiver, body: bytes, headers: Mapping[str, str], *, context: ssl.SSLContext) -> Answer:
    """Tells a receiver.

    Raises
    ------
    OSError, http.client.HTTPException
        One of `FAILURES`, when there is no answer.
    """
    addresses = addresses_of(receiver)
    deadline = _Deadline(TOTAL_S)
    with _connected(receiver, addresses, deadline, context) as connection:
        client = http.client.HTTPConnection(receiver.host, receiver.port)
        client.sock = _Bounded(connection, deadline)
        client.request(
            "POST",
            receiver.target,
            body,
            {
                "Host": receiver.authority,
                "User-Agent": "Timbrescope",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "Connection": "close",
                **headers,
            },
        )
        with client.getresponse() as response:
            answer = Answer(response.status, _seconds(response.getheader("Retry-After")))
            with suppress(*FAILURES):  # it has been told; a receiver that is cut off may mind
                response.read(MOST_ANSWER_BYTES)
            return answer


class _Deadline:
    """The moment until which all has to be done."""

    def __init__(self, total_s: float) -> None:
        self._ends_at = time.monotonic() + total_s

    def left_s(self) -> float:
        """How long there still is; raises `TimeoutError` when there is nothing left."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0.0:
            raise TimeoutError("the receiver took too long")
        return left_s


class _Bounded:
    """A socket as `http.client` uses it, each of whose steps ends by the deadline."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Sends."""
        self._connection.settimeout(self._deadline.left_s())
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What comes in; the mode is always to read bytes."""
        return io.BufferedReader(_Incoming(self._connection, self._deadline))

    def close(self) -> None:
        """Leaves the socket open for its answer; who made it closes it."""


class _Incoming(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._connection.settimeout(self._deadline.left_s())
        return self._connection.recv_into(buffer)


def _connected(
    receiver: Receiver, addresses: Sequence[str], deadline: _Deadline, context: ssl.SSLContext
) -> socket.socket:
    """A connection to the first address that takes one, with TLS unless the scheme says otherwise."""
    for place, address in enumerate(addresses):
        try:
            timeout_s = min(CONNECT_S, deadline.left_s())
            connection = socket.create_connection((address, receiver.port), timeout_s)
            break
        except OSError:
            if place == len(addresses) - 1:
                raise
    if receiver.scheme == "http":
        return connection
    try:
        connection.settimeout(deadline.left_s())
        return context.wrap_socket(connection, server_hostname=receiver.host)
    except BaseException:
        connection.close()
        raise


def _seconds(retry_after: str | None) -> float | None:
    """A header `Retry-After`: seconds, or a date; None where it is neither."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
