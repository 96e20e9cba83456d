"""How long the processes of a service take to start: fresh ones each time, beside a Redis of their own.

Conventions: a process counts as started when others can use it: the API when it answers `/health/live`, the
worker when each process of its pool has said that it is ready, as `/health/ready` wants to hear. Files are in
the system's cache, as after a first start.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as NoRedisError

from bench.measure import COST, MORE, Measurement, Row, compared, timed_ms
from bench.running import environment_in, start_service
from bench.serving import Client, example_file
from ml.checkpoint import SHIPPED_MODELS, WEIGHTS_NAME
from worker.catalog import Catalog

N_STARTS = 5
N_SERVICES, N_LATER = 3, 15
PATIENCE_S = 120.0
POLL_S = 0.01

NOTHING = (sys.executable, "-c", "pass")
API_IMPORT = (sys.executable, "-c", "import service.run")
# What no worker can do without: the library, and the tensors of the default model.
BARE_MODEL = (
    sys.executable,
    "-c",
    "import torch; from safetensors.torch import load_file; "
    f"load_file({str(SHIPPED_MODELS / 'default' / WEIGHTS_NAME)!r})",
)
POOL_PROCESSES = 2


def run_s(command: tuple[str, ...]) -> float:
    """How long a program takes from its start to its end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - started


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """The URL of a redis-server that keeps nothing."""
    path = folder / "redis.sock"
    with subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            with Redis(unix_socket_path=str(path)) as client:
                _wait_until(lambda: _answers(client), server)
            yield f"unix://{path}"
        finally:
            server.terminate()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except NoRedisError:
        return False


def _wait_until(is_there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_there():
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with code {process.returncode}.")
        if time.monotonic() > until:
            raise TimeoutError(f"{process.args!r} was not there within {PATIENCE_S:g} s.")
        time.sleep(POLL_S)


def _until_there_s(part: str, environment: dict[str, str], log: Path, is_there: Callable[[], bool]) -> float:
    """How long `timbrescope PART` takes until it is there; it is ended afterwards."""
    with log.open("ab") as lines:
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "timbrescope", part], env=environment, stdout=lines, stderr=lines
        ) as process:
            try:
                _wait_until(is_there, process)
                return time.perf_counter() - started
            finally:
                process.send_signal(signal.SIGTERM)


def api_start_s(folder: Path, redis_url: str) -> float:
    """Start the API; seconds until it answers."""
    environment = environment_in(folder, TIMBRESCOPE_REDIS_URL=redis_url)
    url = f"http://127.0.0.1:{environment['TIMBRESCOPE_PORT']}/health/live"

    def is_there() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except OSError:
            return False

    return _until_there_s("api", environment, folder / "log", is_there)


def worker_start_s(folder: Path, redis_url: str, n_processes: int = POOL_PROCESSES) -> float:
    """Start a worker; seconds until its whole pool is ready."""
    environment = environment_in(
        folder, TIMBRESCOPE_REDIS_URL=redis_url, TIMBRESCOPE_CONCURRENCY=str(n_processes)
    )
    with Redis.from_url(redis_url) as client:
        client.flushall()
        catalog = Catalog(client)
        return _until_there_s(
            "worker", environment, folder / "log", lambda: len(catalog.workers()) == n_processes
        )


def _against(
    start_s: Callable[[Path, str], float], yardstick: tuple[str, ...]
) -> Callable[[str], Measurement]:
    """A row's `measure`: starts in turns with the yardstick's program, after one of each."""

    def measure(ratio_of: str) -> Measurement:
        folder = Path(tempfile.mkdtemp(prefix="ts-bench-"))
        try:
            with _redis(folder) as redis_url:
                pairs = [(start_s(folder, redis_url), run_s(yardstick)) for _ in range(N_STARTS + 1)]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        ours, theirs = zip(*pairs[1:], strict=True)
        return compared(ours, theirs, unit="s", ratio_of=ratio_of)

    return measure


def _import_s(folder: Path, redis_url: str) -> float:
    return run_s(API_IMPORT)


def first_request(path: str) -> Callable[[str], Measurement]:
    """A row's `measure`: the first request of a service that has said that it is ready, against later ones.

    The service has a single worker process, which so answers all of them.
    """

    def measure(ratio_of: str) -> Measurement:
        first_ms, later_ms = [], []
        for _ in range(N_SERVICES):
            service = start_service(TIMBRESCOPE_CONCURRENCY="1")
            client = Client(service.url, example_file())
            ask = partial(client.ask, path)
            try:
                taken_ms = [timed_ms(ask) for _ in range(1 + N_LATER)]
            finally:
                client.close()
                service.stop()
            first_ms.append(taken_ms[0])
            later_ms.extend(taken_ms[1:])
        return compared(first_ms, later_ms, unit="ms", ratio_of=ratio_of)

    return measure


ROWS = (
    Row("api-import", "what the API imports", "python -c pass", MORE, "<= 1 s", _against(_import_s, NOTHING)),
    Row(
        "api-start",
        "the API until it answers",
        "python -c pass",
        MORE,
        "<= 1 s",
        _against(api_start_s, NOTHING),
    ),
    Row(
        "worker-start",
        f"a worker until its {POOL_PROCESSES} processes are ready",
        "import torch, load the weights",
        MORE,
        "<= 1 s",
        _against(worker_start_s, BARE_MODEL),
    ),
    Row(
        "first-classify",
        "the first /classify of a service",
        "a later one",
        COST,
        "<= 1.5",
        first_request("/classify"),
    ),
    Row(
        "first-explain",
        "the first /explain of a service",
        "a later one",
        COST,
        "<= 1.5",
        first_request("/explain"),
    ),
)
