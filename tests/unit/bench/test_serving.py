"""The rows of a whole service: their plumbing, against something that answers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import serving
from bench.measure import COST
from bench.serving import Client, jobs_per_s, long_file, request_cost


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status = 200
    bodies: list[bytes] = []  # noqa: RUF012  # shared on purpose, emptied by the fixture

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(body)
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    _Answers.bodies.clear()
    _Answers.status = 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Pool:
    """Does at once what it is given."""

    def submit(self, call: object, *args: object) -> Future[float]:
        done: Future[float] = Future()
        done.set_result(0.001)
        return done


def test_each_job_is_asked_for_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "N_CLIENTS", 3)
    assert jobs_per_s(url, 10) > 0.0
    assert len(_Answers.bodies) == 10
    assert serving.example_file() in _Answers.bodies[0]


def test_what_is_refused_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "N_CLIENTS", 2)
    _Answers.status = 503
    with pytest.raises(RuntimeError, match="answered 503"):
        jobs_per_s(url, 4)


def test_both_sides_of_a_request_are_measured(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Listening:
        def __enter__(self) -> _Pool:
            return _Pool()

        def __exit__(self, *_: object) -> None:
            """Ends nothing."""

    monkeypatch.setattr(serving, "service_url", lambda _: url)
    monkeypatch.setattr(serving, "listening", lambda _: Listening())
    found = request_cost(serving.example_file, 3)(COST)
    assert found.yardstick_value == pytest.approx(1.0)
    assert found.ratio == pytest.approx(found.measured_value)
    assert len(_Answers.bodies) == 5  # two of them to warm up


def test_the_long_file_is_a_minute() -> None:
    n_header, n_bytes = 44, 2
    assert len(long_file()) == n_header + n_bytes * 60 * 44_100


def test_a_client_keeps_its_connection(url: str) -> None:
    client = Client(url, b"sound")
    for _ in range(2):
        client.ask("/explain")
    client.close()
    assert len(_Answers.bodies) == 2
