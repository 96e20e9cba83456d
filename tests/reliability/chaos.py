"""A service whose parts can be killed and started again, and requests that come while that happens.

Conventions: Redis is started as `timbrescope up` starts it. A part that was killed is started again under the
same address, with another log. A request is sent until it is answered with something else than 503 or 429,
always under the same Idempotency-Key, as a careful client does; so however often an answer is lost, it stands
for one job.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from redis.exceptions import RedisError

from tests.integration.processes import ANEW, START_S, Process, start, start_api, start_worker, wait_until
from tests.reliability.orders import Order
from tests.reliability.proxy import Proxy
from timbrescope.launcher import redis_program
from worker import keys
from worker.jobs import Job
from worker.store import JobStore, Lifetimes

SUBMIT_S = 180.0
"""How long a request may be sent again and again."""
ADMIN_KEY = "an admin key that only the reliability tests know"
LIFETIMES = Lifetimes(3600.0, 3600.0, 3600.0)


@dataclass
class Service:
    """A private Redis, some workers and an API."""

    folder: Path
    settings: dict[str, str]
    redis_url: str
    redis: Process
    proxy: Proxy
    url: str = ""
    api: Process = field(init=False)
    workers: list[Process] = field(default_factory=list)
    n_started: int = 0

    def client(self, **options: Any) -> httpx.Client:
        """A client that wants everything computed anew."""
        return httpx.Client(base_url=self.url, timeout=60.0, headers=ANEW, **options)

    def connect(self) -> Redis:
        """A client of the Redis behind."""
        return Redis.from_url(self.redis_url)

    def job(self, job_id: str) -> Job:
        """The record of a job."""
        with self.connect() as redis:
            return JobStore(redis, LIFETIMES).get(job_id)

    def start_worker(self) -> Process:
        """One more worker; it may still be loading its model."""
        self.n_started += 1
        worker = start_worker(self.folder, self.settings, f"worker-{self.n_started}")
        self.workers.append(worker)
        return worker

    def restart_worker(self, worker: Process) -> None:
        """Lets a worker finish what runs, and starts another."""
        self.workers.remove(worker)
        self.start_worker()
        assert worker.stop() == 0, worker.text()[-4000:]

    def restart_api(self) -> None:
        """Stops the API and starts it again where it was."""
        assert self.api.stop() == 0, self.api.text()[-4000:]
        settings = {**self.settings, "TIMBRESCOPE_PORT": self.url.rpartition(":")[2]}
        self.api = start("api", [sys.executable, "-m", "service.run"], self.folder, settings)

        def answers() -> bool:
            assert self.api.is_alive(), self.api.text()[-4000:]
            with suppress(httpx.TransportError):
                return httpx.get(f"{self.url}/health/live").status_code == 200
            return False

        wait_until(answers, START_S, "the API")

    def kill_worker(self, worker: Process) -> None:
        """Kills a worker with all of its processes, and starts another."""
        worker.kill()
        self.workers.remove(worker)
        self.start_worker()

    def kill_pool_process(self, worker: Process) -> bool:
        """Kills one process of a worker's pool; False when there is none at this moment."""
        for pid in worker.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def kill_redis(self) -> None:
        """Kills Redis and starts it again on what it has written."""
        self.redis.kill()
        self.start_redis()

    def start_redis(self) -> None:
        """Starts Redis on what it has written."""
        self.redis = start_private_redis(self.folder)

    def n_ready(self) -> int:
        """How many processes of workers are ready."""
        with self.connect() as redis:
            return len(list(redis.scan_iter(keys.WORKERS)))

    def wait_until_ready(self, n_processes: int = 1) -> None:
        """Until so many processes of workers are."""

        def ready() -> bool:
            for worker in self.workers:
                assert worker.is_alive(), worker.text()[-4000:]
            return self.n_ready() >= n_processes

        wait_until(ready, START_S, f"{n_processes} ready processes", every_s=0.2)

    def all_processes(self) -> list[Process]:
        """Those of this moment, in the order in which they are to be stopped."""
        return [*([self.api] if self.url else []), *self.workers, self.redis]

    def kill_all(self) -> None:
        """Kills the processes of this moment."""
        for process in self.all_processes():
            process.kill()


def start_private_redis(folder: Path) -> Process:
    """Redis with the options of `timbrescope up`, once it answers."""
    path = folder / "redis.sock"
    program = redis_program(folder, path, os.environ, fsync="always")
    process = start("redis", list(program.command), folder, {})

    def answers() -> bool:
        assert process.is_alive(), process.text()
        with suppress(RedisError), Redis(unix_socket_path=str(path)) as client:
            return bool(client.ping())
        return False

    wait_until(answers, START_S, "redis-server", every_s=0.01)
    return process


@contextmanager
def running_service(*, n_workers: int = 1, is_proxied: bool = False, **settings: str) -> Iterator[Service]:
    """Starts a service, and stops it in the opposite order; nothing of it may be left running.

    When it `is_proxied`, API and workers reach Redis through a proxy that can be cut.
    """
    folder = Path(tempfile.mkdtemp(prefix="ts-chaos-"))  # short: a socket's path has at most 107 bytes
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        redis = start_private_redis(folder)
        redis_url = f"unix://{folder / 'redis.sock'}"
        proxy = Proxy(folder / "proxy.sock", redis_url)
        if is_proxied:
            cleanup.enter_context(proxy)
        chosen = {
            "TIMBRESCOPE_REDIS_URL": proxy.url if is_proxied else redis_url,
            "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
            "TIMBRESCOPE_CONCURRENCY": "1",
            **settings,
        }
        service = Service(folder, chosen, redis_url, redis, proxy)
        cleanup.callback(service.kill_all)
        for _ in range(n_workers):
            service.start_worker()
        service.api, service.url = start_api(folder, chosen)
        service.wait_until_ready(n_workers * int(chosen["TIMBRESCOPE_CONCURRENCY"]))
        yield service
        for process in service.all_processes():
            assert process.stop() == 0, process.text()[-4000:]


@dataclass(frozen=True)
class Submitted:
    """An order and the job that it became."""

    order: Order
    job_id: str
    n_sent: int


def submit(client: httpx.Client, order: Order) -> Submitted:
    """Sends an order until it is taken."""
    fields = {name: list(values) for name, values in order.fields}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    deadline, n_sent = time.monotonic() + SUBMIT_S, 0
    while True:
        n_sent += 1
        with suppress(httpx.TransportError):  # the API may be the one that is being restarted
            answer = client.post(order.path, files=list(order.files), data=fields, headers=headers)
            if answer.status_code in (200, 202):
                return Submitted(order, answer.json()["id"], n_sent)
            assert answer.status_code in (409, 429, 503), answer.text
            assert int(answer.headers["Retry-After"]) >= 1
        assert time.monotonic() < deadline, "a request was refused for too long"
        time.sleep(0.5)


def submit_all(client: httpx.Client, orders: list[Order], n_at_once: int = 4) -> list[Submitted]:
    """Sends orders, several at once, and returns them as they were given."""
    with ThreadPoolExecutor(n_at_once) as pool:
        return list(pool.map(lambda order: submit(client, order), orders))


def n_ended(service: Service) -> int:
    """How many jobs have ended; 0 while Redis is away."""
    try:
        with service.connect() as redis:
            return sum(int(count) for count in redis.hgetall(keys.OUTCOMES).values())
    except RedisError:
        return 0


def outcome_of(service: Service, client: httpx.Client, job_id: str) -> tuple[str, str, Mapping[str, str]]:
    """How a job ended, its result without its id, and the hashes of its artefacts by name."""
    job = client.get(f"/jobs/{job_id}")
    assert job.status_code == 200, job.text
    document = job.json()
    with service.connect() as redis:
        infos = redis.hgetall(keys.artifact_info(job_id))
    hashes = {name.decode(): str(info) for name, info in infos.items()}
    return document["status"], str(document.get("result")).replace(job_id, "ID"), hashes


def n_ends(service: Service, job_id: str) -> int:
    """How many events of a job's stream say that it has ended."""
    with service.connect() as redis:
        entries = redis.xrange(keys.events(job_id))
    return sum(
        any(f'"{status}"'.encode() in fields[b"event"] for status in ("succeeded", "failed", "cancelled"))
        for _, fields in entries
    )
