"""`timbrescope up` as a person meets it: real processes, killed for real, and nothing left behind.

Every process that a launcher starts, at whatever depth, inherits a mark in its environment, by which the
tests find it even after its parent is gone. redis-server overwrites its environment with its title; it is
known by its working folder. Ended processes that nobody has collected yet do not count.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

READY_S = 150.0
"""Workers import torch; on a loaded machine with two cores that takes a while."""

STOP_S = 45.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes through /proc"),
]


class Service:
    """A running `timbrescope up` and all that belongs to it."""

    def __init__(self, state_dir: Path, port: int, log: Path, **settings: str) -> None:
        self.state_dir, self.port, self.log = state_dir, port, log
        self._mark = f"TIMBRESCOPE_TEST_MARK={uuid.uuid4()}"
        name, value = self._mark.split("=")
        self.environment = {
            **os.environ,
            "TIMBRESCOPE_STATE_DIR": str(state_dir),
            "TIMBRESCOPE_PORT": str(port),
            "TIMBRESCOPE_CONCURRENCY": "1",
            name: value,
            **settings,
        }
        with log.open("wb") as output:
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "timbrescope", "up"],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    def processes(self) -> dict[int, str]:
        """The command lines of all processes that carry the mark, by process id."""
        found: dict[int, str] = {}
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdigit() and self._owns(folder):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def _owns(self, folder: Path) -> bool:
        if self._mark.encode() in (folder / "environ").read_bytes():
            return True
        return (folder / "cwd").readlink() == self.state_dir / "redis"

    def process(self, part: str) -> int:
        """The oldest process whose command line has this in it."""
        return min(number for number, line in self.processes().items() if part in line)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer; status 0 when there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def wait_until(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; it said:\n{self.said()}"
            time.sleep(0.1)

    def wait_until_ready(self) -> None:
        self.wait_until(lambda: self.get("/health/ready")[0] == 200, READY_S)

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the launcher and wait for its end; the exit code."""
        self.launcher.send_signal(number)
        return self.launcher.wait(timeout=STOP_S)

    def left(self) -> dict[int, str]:
        """What is still running, after a moment for the kernel to take note."""
        deadline = time.monotonic() + 5
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.processes()

    def clear(self) -> None:
        """End whatever a failed test has left running."""
        for number in self.processes():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.launcher.wait(timeout=STOP_S)


@pytest.fixture
def start(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(state_dir: Path = tmp_path / "state", **settings: str) -> Service:
        service = Service(state_dir, free_port, tmp_path / f"log-{len(started)}", **settings)
        started.append(service)
        return service

    yield start
    for service in started:
        service.clear()


def test_it_starts_heals_and_stops(start: Callable[..., Service], tmp_path: Path) -> None:
    long = tmp_path / ("long" * 15) / ("longer" * 10)  # its socket's path would not fit
    service = start(long)
    service.wait_until(lambda: "is ready: " in service.said(), READY_S)
    assert f"is ready: http://127.0.0.1:{service.port} " in service.said()
    assert service.get("/health/live")[0] == 200
    assert service.get("/health/ready")[0] == 200
    key = (long / "admin-key").read_text().strip()
    assert service.said().count(key) == 1

    recipe = {"name": "tiny", "n_clips": 2, "clip_duration_s": 0.5, "validation_share": 0.5}
    made = httpx.post(
        f"http://127.0.0.1:{service.port}/datasets",
        json={"recipe": recipe},
        headers={"Authorization": f"Bearer {key}", "Prefer": "wait=30"},
        timeout=60.0,
    )
    assert (made.status_code, made.json()["status"]) == (200, "succeeded"), made.text
    assert (long / "datasets" / "tiny" / "manifest.json").is_file()

    second = subprocess.run(
        [sys.executable, "-m", "timbrescope", "up"],
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(
        f"error: Another `timbrescope up` (process {service.launcher.pid}) is using"
    )
    assert len(second.stderr.splitlines()) == 1

    for part in ("timbrescope api", "timbrescope worker", "redis-server"):
        before = service.process(part)
        os.kill(before, signal.SIGKILL)
        service.wait_until(lambda before=before: before not in service.processes(), 20)  # type: ignore[misc]
        if part == "timbrescope worker":  # nobody is told that there is one until there is
            service.wait_until(lambda: service.get("/health/ready")[0] == 503, 8)
        service.wait_until(
            lambda part=part: any(part in line for line in service.processes().values()),  # type: ignore[misc]
            30,
        )
        service.wait_until_ready()
    assert service.said().count("was ended by SIGKILL; starting it again") == 3

    assert service.end(signal.SIGINT) == 0
    assert service.left() == {}
    assert "\nStopping ...\n" in service.said()
    assert service.said().endswith("\nStopped.\n")
    assert "Traceback" not in service.said()


def test_a_killed_launcher_leaves_nothing_and_can_start_again(start: Callable[..., Service]) -> None:
    service = start()
    service.wait_until_ready()
    before = service.processes()
    assert len(before) >= 6  # launcher, guard, redis, worker, its pool process, API
    assert service.end(signal.SIGKILL) == -signal.SIGKILL
    again = start()  # at once: it waits until the guard of the first has cleared up
    service.wait_until(lambda: not before.keys() & service.processes().keys(), STOP_S)
    again.wait_until_ready()
    assert "Admin key" not in again.said()  # it has one, and shows it only once
    assert again.end(signal.SIGTERM) == 0
    assert again.left() == {}


def test_where_others_reach_it_every_call_needs_a_key(start: Callable[..., Service]) -> None:
    service = start(TIMBRESCOPE_HOST="0.0.0.0")
    service.wait_until_ready()
    assert service.said().count("Every call needs an API key: ") == 1
    command = [sys.executable, "-m", "timbrescope", "keys", "create", "--name", "lab"]
    made = subprocess.run(
        command, env=service.environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()
    admin = (service.state_dir / "admin-key").read_text().strip()
    for key, jobs, orders in ((None, 401, 401), (f"{made}x", 401, 401), (made, 200, 403), (admin, 200, 422)):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", headers=headers) as client:
            assert client.get("/jobs").status_code == jobs
            assert client.post("/datasets", json={}).status_code == orders
    assert made not in service.said()
    assert service.end(signal.SIGINT) == 0


def test_a_redis_that_is_there_is_used(start: Callable[..., Service], redis_url: str) -> None:
    service = start(TIMBRESCOPE_REDIS_URL=redis_url, TIMBRESCOPE_ADMIN_KEY="a key from outside")
    service.wait_until_ready()
    assert not any("redis-server" in line for line in service.processes().values())
    assert "Admin key" not in service.said()
    assert not (service.state_dir / "admin-key").exists()
    check = [sys.executable, "-m", "timbrescope", "worker", "--check"]  # the container's health check
    assert subprocess.run(check, env=service.environment, timeout=60, check=False).returncode == 0
    assert service.end(signal.SIGTERM) == 0
    assert service.left() == {}


def test_a_worker_that_cannot_start_ends_it_with_a_reason(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    service = start(TIMBRESCOPE_MODELS_DIR=str(tmp_path / "models"))
    assert service.launcher.wait(timeout=READY_S) == 1
    assert service.left() == {}
    *_, last = service.said().splitlines()
    assert last == "error: The worker ended with code 1 5 times in a row soon after its start."
    assert f"There is no model 'default' in {tmp_path / 'models'}" in service.said()


def test_it_can_be_stopped_while_it_starts(start: Callable[..., Service]) -> None:
    service = start()
    service.wait_until(lambda: any("redis-server" in line for line in service.processes().values()), 60)
    assert service.end(signal.SIGINT) == 0
    assert service.left() == {}
