"""Real processes for the tests: redis-server, a Celery worker with its pool, the API under uvicorn.

Each writes a log, which a failing test shows. Stopping asserts that nothing of the process group is left.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis

ROOT = Path(__file__).resolve().parents[2]
START_S = 120.0
"""How long a process may take to be ready; importing torch on a busy machine takes its time."""
STOP_S = 60.0
POLL_S = 0.05
ANEW = {"Cache-Control": "no-cache"}
"""Tests send the same sound again and again; those of the result cache override this."""


@dataclass
class Process:
    """A running program that leads a process group of its own."""

    name: str
    log: Path
    popen: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        """The process id, which is the group's too."""
        return self.popen.pid

    def is_alive(self) -> bool:
        """Whether the program still runs."""
        return self.popen.poll() is None

    def children(self) -> list[int]:
        """The process ids of its pool: forked from it, or begun afresh."""
        own = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in listed}
        return [pid for pid, command in commands.items() if command == own or b"spawn_main" in command]

    def text(self) -> str:
        """What it has logged."""
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stops it, and returns its exit status once its whole group is gone."""
        if self.is_alive():
            self.popen.send_signal(number)
        try:
            status = self.popen.wait(timeout=STOP_S)
            wait_until(lambda: not self._group_is_there(), 10.0, f"the end of {self.name}'s group")
        finally:
            self.kill()
        return status

    def kill(self) -> None:
        """Kills whatever is left of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def _group_is_there(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


def start(name: str, command: list[str], folder: Path, settings: Mapping[str, str]) -> Process:
    """Starts a program in a group of its own, with these settings added to the environment."""
    log = folder / f"{name}.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings}
    with log.open("ab") as stream:
        popen = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=stream, stderr=stream, start_new_session=True
        )
    return Process(name, log, popen)


def start_redis(folder: Path, *options: str) -> tuple[Process, str]:
    """A redis-server on a unix socket in `folder`, which has to have a short path."""
    path = folder / "redis.sock"
    executable = shutil.which("redis-server")
    assert executable, "redis-server is missing: run `make install`"
    command = [executable, "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    process = start("redis", [*command, *options], folder, {})
    client = redis.Redis(unix_socket_path=str(path))

    def answers() -> bool:
        assert process.is_alive(), process.text()
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    with client:
        wait_until(answers, START_S, "redis-server")
    return process, f"unix://{path}"


def start_worker(folder: Path, settings: Mapping[str, str], name: str = "worker") -> Process:
    """A worker; it may still be loading its models."""
    return start(name, [sys.executable, "-m", "worker.run"], folder, settings)


def start_api(folder: Path, settings: Mapping[str, str]) -> tuple[Process, str]:
    """The API, and the URL under which it answers."""
    port = _free_port()
    process = start(
        "api", [sys.executable, "-m", "service.run"], folder, {**settings, "TIMBRESCOPE_PORT": str(port)}
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.is_alive(), process.text()
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/health/live").status_code == 200
        return False

    wait_until(answers, START_S, "the API")
    return process, url


@dataclass
class Stack:
    """A whole service."""

    redis_url: str
    url: str
    redis: Process
    worker: Process
    api: Process
    settings: Mapping[str, str]
    folder: Path
    client: httpx.Client = field(repr=False)

    def kill_all(self) -> None:
        """Kills the processes of this moment, which need not be the first ones."""
        for process in (self.api, self.worker, self.redis):
            process.kill()

    def wait_until_ready(self) -> None:
        """Until a worker has its model loaded."""

        def ready() -> bool:
            assert self.worker.is_alive(), self.worker.text()
            return self.client.get("/health/ready").status_code == 200

        try:
            wait_until(ready, START_S, "a ready worker", every_s=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.worker.text()[-4000:]}") from None


@contextmanager
def running_stack(folder: Path, **settings: str) -> Iterator[Stack]:
    """Starts redis, worker and API, and stops them in the opposite order."""
    with ExitStack() as cleanup:
        redis_process, redis_url = start_redis(folder)
        cleanup.callback(redis_process.kill)
        chosen = {"TIMBRESCOPE_REDIS_URL": redis_url, **settings}
        worker = start_worker(folder, chosen)
        cleanup.callback(worker.kill)
        api, url = start_api(folder, chosen)
        cleanup.callback(api.kill)
        client = cleanup.enter_context(httpx.Client(base_url=url, timeout=90.0, headers=ANEW))
        stack = Stack(redis_url, url, redis_process, worker, api, chosen, folder, client)
        cleanup.callback(stack.kill_all)
        stack.wait_until_ready()
        yield stack
        for process in (stack.api, stack.worker, stack.redis):
            assert process.stop() == 0, process.text()


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str, every_s: float = POLL_S) -> None:
    """Waits for a condition, which is to come about within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {timeout_s} s"
        time.sleep(every_s)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
