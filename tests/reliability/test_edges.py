"""Slow, silent, enormous and broken requests against a real API, many at a time: each is refused or its
connection closed in time, who asks properly is answered meanwhile, and afterwards nothing is left of them.
"""

import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis

from tests.integration.processes import Process, start_api, start_redis, wait_until
from tests.reliability.conftest import Size
from tests.reliability.report import Report
from tests.unit.service.conftest import CARD
from tests.unit.service.requests_made import wav
from worker.catalog import Catalog, model_from_card

pytestmark = pytest.mark.slow

HEADER_S, IDLE_S, IN_ALL_S = 2.0, 2.0, 6.0
HASTY = {
    "TIMBRESCOPE_HEADER_TIMEOUT_S": str(HEADER_S),
    "TIMBRESCOPE_UPLOAD_IDLE_S": str(IDLE_S),
    "TIMBRESCOPE_UPLOAD_TIMEOUT_S": str(IN_ALL_S),
}
LATE_S = 20.0
"""How long after its time a connection may be closed on a machine that is busy."""
MOST_UPLOADS = 64
UPLOAD_BYTES = 50_000_000
MIB = 2**20
LISTENS = "0A"  # the state of a socket in /proc/net/tcp
MEMORY_BYTES = 1_200 * MIB
"""What the API's process may take at most beyond its calm state: eight recordings that are looked at, each
copied once, and a megabyte for each that is being read; and half as much again.
"""
AFTERWARDS_BYTES = 150 * MIB
"""What it may keep of that afterwards, for Python's allocator gives little back."""
PROMPT_S = 2.0
"""How long a proper request may take meanwhile; it takes milliseconds unless it is kept waiting."""

HOST = "Host: localhost\r\n"
FORM = f"POST /classify HTTP/1.1\r\n{HOST}Content-Type: multipart/form-data; boundary=b\r\n"
PART = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
SLOW: dict[str, tuple[str, bool]] = {
    "says nothing": ("", False),
    "stops within the head": (f"GET /jobs HTTP/1.1\r\n{HOST}", False),
    "drips its head": (f"GET /jobs HTTP/1.1\r\n{HOST}X-A: ", True),
    "stops before the body": (f"{FORM}Content-Length: 99999\r\n\r\n", False),
    "stops within the body": (f"{FORM}Content-Length: 99999\r\n\r\n{PART}", False),
    "drips its body": (f"{FORM}Content-Length: 99999\r\n\r\n{PART}", True),
    "stops within a chunk": (f"{FORM}Transfer-Encoding: chunked\r\n\r\n99\r\n{PART}", False),
    "sends to nobody": (f"POST /no/such/path HTTP/1.1\r\n{HOST}Content-Length: 99999\r\n\r\n", True),
}
"""What a slow client sends first, and whether it then goes on a byte at a time."""


@dataclass(frozen=True)
class Edge:
    """An API with a Redis and without workers."""

    api: Process
    url: str
    redis_url: str

    def connect(self) -> socket.socket:
        """A connection to it."""
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=LATE_S)

    def memory_bytes(self, name: str = "VmRSS") -> int:
        """What its process takes, or (`VmHWM`) took at most since `forget_peak`."""
        status = Path(f"/proc/{self.api.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
        return int(line.split()[1]) * 1024

    def forget_peak(self) -> None:
        """Lets the most that it took begin anew."""
        Path(f"/proc/{self.api.pid}/clear_refs").write_text("5")

    def n_left(self) -> int:
        """How many clients' connections and temporary files it has open."""
        port = f":{urlsplit(self.url).port:04X}"
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        clients = {f"socket:[{line[9]}]" for line in table if line[1].endswith(port) and line[3] != LISTENS}
        found = 0
        for link in Path(f"/proc/{self.api.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                target = str(link.readlink())
                found += target in clients or "(deleted)" in target
        return found


@pytest.fixture
def edge(request: pytest.FixtureRequest) -> Iterator[Edge]:
    """One with settings of the test's choice."""
    folder = Path(tempfile.mkdtemp(prefix="ts-edge-"))
    redis, redis_url = start_redis(folder)
    settings = {
        "TIMBRESCOPE_REDIS_URL": redis_url,
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
        "TIMBRESCOPE_MAX_UPLOADS": str(MOST_UPLOADS),
        **request.param,
    }
    try:
        api, url = start_api(folder, settings)
        try:
            Catalog(Redis.from_url(redis_url)).announce("worker", [model_from_card(CARD)])
            with httpx.Client(base_url=url, timeout=60.0) as client:  # warms it up
                assert client.post("/classify", files={"file": ("a.wav", wav())}).status_code == 202
            yield Edge(api, url, redis_url)
            assert api.stop() == 0, api.text()
        finally:
            api.kill()
    finally:
        redis.kill()
        rmtree(folder)


@dataclass(frozen=True)
class Ended:
    """How a slow client fared."""

    how: str
    status: int | None
    after_s: float


def be_slow(edge: Edge, how: str, deadline_s: float) -> Ended:
    """Sends something slowly until the API ends it."""
    text, goes_on = SLOW[how]
    started = time.monotonic()
    received = b""
    with edge.connect() as connection:
        connection.settimeout(0.2)
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(text.encode())
            while time.monotonic() - started < deadline_s:
                try:
                    more = connection.recv(65536)
                    if not more:
                        break
                    received += more
                except TimeoutError:
                    if goes_on:
                        connection.sendall(b"a")
            else:
                raise AssertionError(f"who {how} was still there after {deadline_s} s")
    status = int(received.split()[1]) if received else None
    return Ended(how, status, time.monotonic() - started)


def in_words(statuses: Counter[int] | Counter[int | None]) -> str:
    """How often each status was the answer."""
    counts: dict[int, int] = {status or 0: count for status, count in statuses.items()}
    return ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(counts.items()))


class Asker:
    """Somebody who asks properly all the while."""

    def __init__(self, edge: Edge) -> None:
        self.seconds: list[float] = []
        self._stopped = threading.Event()
        self._url = edge.url
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60.0) as client:
            while not self._stopped.wait(0.05):
                started = time.monotonic()
                assert client.get("/jobs?limit=1").status_code == 200
                self.seconds.append(time.monotonic() - started)


@pytest.mark.parametrize("edge", [HASTY], indirect=True, ids=[""])
def test_slow_clients(edge: Edge, size: Size, report: Report) -> None:
    n_each = size.of(5, 40)
    clients = [how for how in SLOW for _ in range(n_each)]
    deadline_s = max(HEADER_S, IN_ALL_S, 10.0) + LATE_S
    with Asker(edge) as asker, ThreadPoolExecutor(len(clients)) as threads:
        ended = list(threads.map(lambda how: be_slow(edge, how, deadline_s), clients))
    answers = Counter((each.how, each.status) for each in ended)
    for how in (how for how, (text, _) in SLOW.items() if text.startswith(FORM)):
        # Of more uploads than there are places, those beyond are told so at once.
        assert answers[(how, 408)] + answers[(how, 503)] == n_each, answers
    assert answers[("says nothing", None)] == n_each
    for how in ("stops within the head", "drips its head"):
        assert answers[(how, 408)] == n_each, answers
    assert answers[("sends to nobody", 404)] == n_each
    assert statistics.median(asker.seconds) < PROMPT_S
    wait_until(lambda: edge.n_left() == 0, LATE_S, "the end of all connections")
    report.keep(
        "access",
        "slow clients",
        f"{len(clients)} slow clients: {in_words(Counter(each.status for each in ended))}; the last after "
        f"{max(each.after_s for each in ended):.0f} s (allowed: head {HEADER_S:g} s, body {IN_ALL_S:g} s)",
        {
            "n_clients": len(clients),
            "longest_s": max(each.after_s for each in ended),
            "asked_meanwhile": len(asker.seconds),
            "median_s": statistics.median(asker.seconds),
        },
    )


@pytest.mark.parametrize("edge", [{}], indirect=True, ids=[""])
def test_large_uploads_at_once(edge: Edge, size: Size, report: Report) -> None:
    """More than there are places for, none of which is a recording, so that nothing of them is stored."""
    n_clients, n_bytes = size.of(24, 100), size.of(UPLOAD_BYTES // 2, UPLOAD_BYTES - 1_000_000)
    before = edge.memory_bytes()
    edge.forget_peak()
    start, end = PART.encode() + b"RIFF", b"\r\n--b--\r\n"
    head = f"{FORM}Content-Length: {len(start) + n_bytes + len(end)}\r\n\r\n".encode()
    body = bytes(n_bytes)

    def send(_: int) -> int:
        with edge.connect() as connection:
            connection.settimeout(300.0)
            for piece in (head, start, body, end):
                connection.sendall(piece)
            return int(connection.recv(65536).split()[1])

    with Asker(edge) as asker, ThreadPoolExecutor(n_clients) as threads:
        statuses = Counter(threads.map(send, range(n_clients)))
    peak, after = edge.memory_bytes("VmHWM") - before, edge.memory_bytes() - before
    assert set(statuses) <= {415, 503}, statuses
    assert statuses[415] >= min(n_clients, MOST_UPLOADS), statuses
    assert peak < MEMORY_BYTES, f"{peak / MIB:.0f} MiB at most"
    assert after < AFTERWARDS_BYTES, f"{after / MIB:.0f} MiB afterwards"
    assert statistics.median(asker.seconds) < PROMPT_S
    wait_until(lambda: edge.n_left() == 0, LATE_S, "the end of all connections and temporary files")
    with Redis.from_url(edge.redis_url) as redis:
        assert redis.info("memory")["used_memory"] < n_bytes
    report.keep(
        "access",
        "large uploads",
        f"{n_clients} uploads of {n_bytes / 1e6:.0f} MB at once: {in_words(statuses)}; {peak / MIB:.0f} MiB "
        f"of memory at most, {after / MIB:.0f} MiB afterwards",
        {
            "statuses": {str(status): count for status, count in statuses.items()},
            "peak_bytes": peak,
            "after_bytes": after,
            "median_s": statistics.median(asker.seconds),
        },
    )
