"""The launcher's parts: where the API is, what Redis is told, what is refused before anything is started."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import redis

from timbrescope import launcher
from timbrescope.errors import LaunchError
from timbrescope.launcher import Plan, redis_program, up, why_not_ready
from worker.catalog import Catalog
from worker.presence import names_of_worker


def plan(state_dir: Path, port: int = 8000, host: str = "127.0.0.1") -> Plan:
    return Plan(host=host, port=port, state_dir=state_dir, redis_url=None, admin_key=None)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        thread.join()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_the_url_is_one_that_this_machine_can_open(host: str, url: str, tmp_path: Path) -> None:
    assert plan(tmp_path, host=host).url == url


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_redis_is_private_and_keeps_everything(tmp_path: Path, fsync: str) -> None:
    program = redis_program(tmp_path, tmp_path / "redis.sock", os.environ, fsync=fsync)
    options = dict(zip(program.command[1::2], program.command[2::2], strict=True))
    assert options["--port"] == "0"
    assert options["--unixsocketperm"] == "700"
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == fsync
    assert options["--maxmemory-policy"] == "noeviction"
    least, most = launcher.REDIS_MEMORY_BYTES
    assert least <= int(options["--maxmemory"]) <= most


def test_a_missing_redis_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"redis-server is missing.*apt-get install redis-server"):
        redis_program(tmp_path, tmp_path / "redis.sock", {"PATH": str(tmp_path)}, fsync="always")


def test_a_dead_worker_is_there_no_more(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        catalog = Catalog(client)
        others = (f"{names_of_worker(170)}18", "elsewhere/17/18")
        for name in (f"{names_of_worker(17)}18", f"{names_of_worker(17)}19", *others):
            catalog.announce(name, [])
        launcher.forget_worker(redis_url, 17)
        assert {worker.name for worker in catalog.workers()} == set(others)


def test_without_redis_a_dead_worker_is_let_be(free_port: int) -> None:
    launcher.forget_worker(f"redis://127.0.0.1:{free_port}/0", 17)


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"cannot listen on 127.0.0.1:{port}: Address already in use"):
            up(plan(tmp_path, port), os.environ, said.append)
    assert said == []
    assert not (tmp_path / "redis" / "redis.log").exists()


def test_a_port_that_nobody_could_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="Port 0"):
        up(plan(tmp_path / "state", 0), os.environ, print)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_does_not_exist_is_one_line(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(LaunchError, match=r"cannot listen on host\.invalid"):
        up(plan(tmp_path, free_port, host="host.invalid"), os.environ, print)


def test_ready_means_200(free_port: int) -> None:
    with answering(200, b"{}") as url:
        assert why_not_ready(url) is None


def test_the_reason_comes_from_the_problem_document() -> None:
    body = json.dumps({"title": "Not ready", "detail": "No worker has been seen."}).encode()
    with answering(503, body) as url:
        assert why_not_ready(url) == "No worker has been seen."


def test_an_answer_of_another_kind_is_a_reason_too() -> None:
    with answering(500, b"oops") as url:
        assert why_not_ready(url) == "it answers 500"


def test_no_answer_is_a_reason_too(free_port: int) -> None:
    assert "Connection refused" in str(why_not_ready(f"http://127.0.0.1:{free_port}"))
