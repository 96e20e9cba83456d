"""A receiver of webhooks: a real HTTP server that answers as a test says and keeps what it was told."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the specification's own example


@dataclass(frozen=True)
class Told:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Receiver:
    """What a receiver was told, and what it answers: one reply after the other, and the last ever after."""

    def __init__(self, *replies: Reply | int) -> None:
        self.told: list[Told] = []
        self.replies = [Reply(reply) if isinstance(reply, int) else reply for reply in replies or (204,)]
        self._changed = threading.Condition()
        self.port = 0

    @property
    def host(self) -> str:
        """As an operator allows it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}/ended?for=test"

    def hear(self, told: Told) -> Reply:
        """Keeps a request, and says what to answer."""
        with self._changed:
            reply = self.replies[min(len(self.told), len(self.replies) - 1)]
            self.told.append(told)
            self._changed.notify_all()
        return reply

    def wait_for(self, count: int, timeout_s: float = 20.0) -> list[Told]:
        """What it was told, once that is so much."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.told) >= count, timeout_s), self.told
            return list(self.told)


@contextmanager
def receiving(
    *replies: Reply | int, wrap: Callable[[Any], Any] | None = None, port: int = 0
) -> Iterator[Receiver]:
    """A receiver that runs meanwhile; `wrap` makes TLS of its socket."""
    receiver = Receiver(*replies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = receiver.hear(Told(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def do_GET(self) -> None:
            receiver.hear(Told(f"GET {self.path}", {}, b""))
            self.send_error(405)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if wrap is not None:
        server.socket = wrap(server.socket)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
