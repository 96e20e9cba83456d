"""Rows of a whole service: what a request costs beyond hearing, and how much of the machine jobs get.

Conventions: jobs are asked for over HTTP with `Prefer: wait` and `Cache-Control: no-cache`, so that each is
computed, by clients that keep their connections, on the machine that serves them. Services are as they come
(what is answered is on the disk), with `WORKER_THREADS` computing threads for each worker process. What they
are held against is done by processes of the bench with as many threads: the bytes of the same recording to
probabilities, and nothing else.
"""

from __future__ import annotations

import functools
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing import get_context
from urllib.parse import urlsplit

import numpy as np
import soundfile

from bench.clips import EXAMPLE
from bench.measure import COST, Measurement, Row, compared
from bench.running import start_service

WORKER_THREADS = 1
LONG_S = 60.0
N_CLIENTS = 16
N_REQUESTS = 15
N_REQUESTS_LONG = 5
N_JOBS = 96
N_TURNS = 5
_BOUNDARY = "timbrescope-bench"
_HEADERS = {
    "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
    "Prefer": "wait=30",
    "Cache-Control": "no-cache",
}
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

# A share of a service's rate that it should reach of the loop's, or of another service's.
RATE = "measured / yardstick"


@functools.cache
def service_url(concurrency: int) -> str:
    """The address of a service with so many worker processes; started once, ended with the program."""
    settings = {"TIMBRESCOPE_CONCURRENCY": str(concurrency), "TIMBRESCOPE_THREADS": str(WORKER_THREADS)}
    return start_service(**settings).url


@functools.cache
def example_file() -> bytes:
    """The clip of 5 s, as it is sent."""
    return EXAMPLE.read_bytes()


@functools.cache
def long_file() -> bytes:
    """A minute of it."""
    samples, rate_hz = soundfile.read(EXAMPLE, dtype="float32")
    file = io.BytesIO()
    soundfile.write(
        file, np.resize(samples, round(LONG_S * rate_hz)), rate_hz, format="WAV", subtype="PCM_16"
    )
    return file.getvalue()


class Client:
    """One who asks, and waits for each answer, over one connection.

    Raises
    ------
    RuntimeError
        When the answer is no job that has succeeded.
    """

    def __init__(self, url: str, file: bytes) -> None:
        address = urlsplit(url)
        self._connection = HTTPConnection(address.hostname or "", address.port)
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\n\r\n'
        self._body = head.encode() + file + f"\r\n--{_BOUNDARY}--\r\n".encode()

    def classify(self) -> None:
        """Has the recording listened to."""
        self.ask("/classify")

    def ask(self, path: str) -> None:
        """Has something done with the recording, and waits until it is."""
        self._connection.request("POST", path, self._body, _HEADERS)
        with self._connection.getresponse() as response:
            said = response.read()
        if response.status != 200:
            raise RuntimeError(f"POST {path} was answered {response.status}: {said[:200]!r}")

    def close(self) -> None:
        """Gives up the connection."""
        self._connection.close()


@contextmanager
def listening(n_processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that have the model loaded, each with as many threads as a worker has."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, str(WORKER_THREADS)))
    try:
        with ProcessPoolExecutor(n_processes, get_context("spawn"), prepare_listener) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def prepare_listener() -> None:
    """Load and warm the model of one process."""
    import torch

    torch.set_num_threads(WORKER_THREADS)
    heard_s(example_file(), 3)


def heard_s(file: bytes, n_times: int) -> float:
    """How long one process takes to decode and classify a file so many times, in seconds."""
    from bench.clips import model
    from ml.classification import classify
    from ml.recording import load_recording

    started = time.perf_counter()
    for _ in range(n_times):
        classify(model(), load_recording(file, sample_rate_hz=model().sample_rate_hz))
    return time.perf_counter() - started


def request_cost(file: Callable[[], bytes], n_requests: int) -> Callable[[str], Measurement]:
    """A row's `measure`: one client's request against hearing in process, one after the other."""

    def measure(ratio_of: str) -> Measurement:
        client = Client(service_url(2), file())
        requests_ms, heard_ms = [], []
        with listening(1) as pool:
            for turn in range(n_requests + 2):
                started = time.perf_counter()
                client.classify()
                request_ms = (time.perf_counter() - started) * 1e3
                alone_ms = pool.submit(heard_s, file(), 1).result() * 1e3
                if turn >= 2:  # those before warm both sides
                    requests_ms.append(request_ms)
                    heard_ms.append(alone_ms)
        client.close()
        return compared(requests_ms, heard_ms, unit="ms", ratio_of=ratio_of)

    return measure


def jobs_per_s(url: str, n_jobs: int) -> float:
    """How many jobs a service does in a second for `N_CLIENTS` clients, of whom each waits for its own."""
    left = iter(range(n_jobs))
    lock = threading.Lock()
    failures: list[Exception] = []

    def ask(client: Client) -> None:
        try:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                client.classify()
        except Exception as error:  # told by the thread that waits
            failures.append(error)

    clients = [Client(url, example_file()) for _ in range(N_CLIENTS)]
    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - started
    for client in clients:
        client.close()
    if failures:
        raise failures[0]
    return n_jobs / elapsed_s


def loop_per_s(pool: ProcessPoolExecutor, n_processes: int, n_jobs: int) -> float:
    """How many clips processes hear in a second, in a loop each."""
    started = time.perf_counter()
    each = n_jobs // n_processes
    for future in [pool.submit(heard_s, example_file(), each) for _ in range(n_processes)]:
        future.result()
    return each * n_processes / (time.perf_counter() - started)


def _throughput(ratio_of: str) -> Measurement:
    """A service with two workers against two processes that do nothing but hear."""
    ours, theirs = [], []
    with listening(2) as pool:
        jobs_per_s(service_url(2), N_CLIENTS)
        for _ in range(N_TURNS):
            ours.append(jobs_per_s(service_url(2), N_JOBS))
            theirs.append(loop_per_s(pool, 2, N_JOBS))
    return compared(ours, theirs, unit="jobs/s", ratio_of=ratio_of)


def _workers(ratio_of: str) -> Measurement:
    """Two workers against one."""
    two, one = [], []
    for url in (service_url(2), service_url(1)):
        jobs_per_s(url, N_CLIENTS)
    for _ in range(N_TURNS):
        two.append(jobs_per_s(service_url(2), N_JOBS))
        one.append(jobs_per_s(service_url(1), N_JOBS))
    return compared(two, one, unit="jobs/s", ratio_of=ratio_of)


_HEARING = "decode + mel + forward in process"
_CLIENTS = f"{N_CLIENTS} clients, /classify of 5 s"

ROWS = (
    Row(
        "http",
        "/classify of 5 s, one client",
        _HEARING,
        COST,
        "<= 1.6",
        request_cost(example_file, N_REQUESTS),
        "<= 1.3",
    ),
    Row(
        "http-60s",
        "/classify of 60 s, one client",
        _HEARING,
        COST,
        "none",
        request_cost(long_file, N_REQUESTS_LONG),
    ),
    Row(
        "throughput",
        f"{_CLIENTS}, 2 workers",
        "a loop in each of 2 processes",
        RATE,
        ">= 0.75",
        _throughput,
        ">= 0.9",
    ),
    Row("workers", f"{_CLIENTS}, 2 workers", "1 worker", RATE, ">= 1.7", _workers, ">= 1.9"),
)
