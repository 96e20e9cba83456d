"""`timbrescope up`: a whole service on one machine - a private redis-server, a worker and the API -
kept running.

Everything the launcher starts, it stops, in the opposite order: the API first, so that nothing new
comes in, then the worker, which gives unfinished jobs back to the queue, then Redis, which writes
out its append-only file. The service counts as ready when its own `/health/ready` says so. For a worker that
dies the launcher says that it is gone, so that the service is not ready until there is another.
"""

import json
import os
import shutil
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis

from timbrescope import __version__
from timbrescope.children import PYTHON_MODULE, Program, Supervisor
from timbrescope.errors import LaunchError
from timbrescope.state import StateFolder
from worker.memory import HUGE_PAGES

POLL_S = 0.2
ASK_READY_EVERY_S = 0.5
READY_REQUEST_S = 2.0
FORGET_S = 2.0
"""How long Redis may take to hear that a worker is dead."""
REPORT_EVERY_S = 20.0
"""How often to say what is missing while the service is not ready."""

REDIS_MEMORY_SHARE = 0.25
REDIS_MEMORY_BYTES = (256 * 2**20, 8 * 2**30)
"""Redis keeps recordings and results in memory: a quarter of the machine's, but within these bounds."""

API_STOP = ((signal.SIGTERM, 10.0),)
WORKER_STOP = (
    (signal.SIGTERM, 8.0),
    (signal.SIGQUIT, 5.0),
)  # finish what runs; else give it back to the queue
REDIS_STOP = ((signal.SIGTERM, 15.0),)

_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine itself, whatever proxy the environment names."""

INSTALL_REDIS = "Debian: apt-get install redis-server; macOS: brew install redis"


@dataclass(frozen=True)
class Plan:
    """What to start and where."""

    host: str
    port: int
    state_dir: Path
    redis_url: str | None
    """A Redis that is there already; None starts a private one."""
    admin_key: str | None
    """None uses the one in the state folder, which is made on the first start."""
    keys_are_required: bool = False
    """Whether the API asks for a key with every call."""
    redis_fsync: str = "always"
    """When a private Redis makes sure that what it was told is on the disk."""

    @property
    def url(self) -> str:
        """Where the API answers, as seen from this machine."""
        return url_of(self.host, self.port)


def url_of(host: str, port: int) -> str:
    """Where an API that listens on this address answers, as seen from its machine."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def up(plan: Plan, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Run the service until SIGINT, SIGTERM or SIGHUP.

    Parameters
    ----------
    plan : Plan
    environment : mapping
        Environment of the children, to which their settings are added.
    say : callable
        Told each line that a person should see.

    Raises
    ------
    LaunchError
        When the service cannot be started here or does not stay up; nothing is left running then.
    """
    if plan.port == 0:
        raise LaunchError(
            "Port 0 lets the API listen anywhere; `timbrescope up` needs one that it can tell you."
        )
    state = StateFolder(plan.state_dir)
    state.create()
    with state.locked() as lock_fd, _stop_signals() as stopping:
        _require_free(plan.host, plan.port)
        state.keep_url(plan.url)
        with Supervisor(lock_fd, say) as supervisor:
            stopping.when_repeated(supervisor.hurry.set)
            settings = {"TIMBRESCOPE_STATE_DIR": str(plan.state_dir)}
            if plan.redis_url is None:
                path = state.redis_socket()
                supervisor.start(redis_program(state.redis, path, environment, fsync=plan.redis_fsync))
                settings["TIMBRESCOPE_REDIS_URL"] = f"unix://{path}"
                _wait_for_redis(path, supervisor, stopping)
            else:
                settings["TIMBRESCOPE_REDIS_URL"] = plan.redis_url
            key, is_new = (plan.admin_key, False) if plan.admin_key else state.admin_key()
            own = (*PYTHON_MODULE, "timbrescope")
            forget = partial(forget_worker, settings["TIMBRESCOPE_REDIS_URL"])
            supervisor.start(
                Program(
                    "worker",
                    (*own, "worker"),
                    {**HUGE_PAGES, **environment, **settings},
                    WORKER_STOP,
                    on_death=forget,
                )
            )
            settings |= {
                "TIMBRESCOPE_HOST": plan.host,
                "TIMBRESCOPE_PORT": str(plan.port),
                "TIMBRESCOPE_ADMIN_KEY": key,
            }
            supervisor.start(Program("API", (*own, "api"), {**environment, **settings}, API_STOP))
            if is_new:
                say(f"Admin key, shown this once and kept in {plan.state_dir / 'admin-key'}: {key}")
            if plan.keys_are_required:
                say("Every call needs an API key: the admin key, or one of `timbrescope keys create`.")
            _run(plan, supervisor, stopping, say)
            say("Stopping ...")
    say("Stopped.")


def redis_program(folder: Path, path: Path, environment: Mapping[str, str], *, fsync: str) -> Program:
    """The private redis-server: no port, an append-only file in `folder`, nothing evicted when it is full.

    With `fsync` "always" whatever was answered is on the disk. With "everysec" a power cut may take the last
    two seconds, and so may the death of redis-server alone: while the disk is busy it keeps back what it has
    already answered.
    """
    executable = shutil.which("redis-server", path=environment.get("PATH"))
    if executable is None:
        raise LaunchError(
            f"redis-server is missing. {INSTALL_REDIS}."
            " Or set TIMBRESCOPE_REDIS_URL to a Redis that is there already."
        )
    log = folder / "redis.log"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": fsync,
        # Of its file when that is written anew: recordings and maps hardly become smaller.
        "rdbcompression": "no",
        "save": "",
        "maxmemory": str(_redis_memory_bytes()),
        "maxmemory-policy": "noeviction",
        "logfile": str(log),
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Program("redis-server", (executable, *arguments), environment, REDIS_STOP, hint=f"See {log}.")


def forget_worker(redis_url: str, pid: int) -> None:
    """Takes back what a worker that is dead has announced; without Redis it is forgotten a little later."""
    from worker.catalog import Catalog
    from worker.presence import names_of_worker

    with (
        redis.Redis.from_url(redis_url, socket_connect_timeout=FORGET_S, socket_timeout=FORGET_S) as client,
        suppress(redis.RedisError),
    ):
        Catalog(client).withdraw_all(names_of_worker(pid))


class _Stopping(threading.Event):
    """Set by the first signal that asks to stop; a second one calls what was registered."""

    def __init__(self) -> None:
        super().__init__()
        self._repeated: Callable[[], None] = lambda: None

    def when_repeated(self, call: Callable[[], None]) -> None:
        self._repeated = call

    def on_signal(self, number: int, frame: object) -> None:
        if self.is_set():
            self._repeated()
        self.set()


@contextmanager
def _stop_signals() -> Iterator[_Stopping]:
    stopping = _Stopping()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stopping.on_signal) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(plan: Plan, supervisor: Supervisor, stopping: threading.Event, say: Callable[[str], None]) -> None:
    ready, ask_at, report_at = False, 0.0, time.monotonic() + REPORT_EVERY_S
    while not stopping.wait(POLL_S):
        supervisor.mend()
        if ready or time.monotonic() < ask_at:
            continue
        ask_at = time.monotonic() + ASK_READY_EVERY_S
        missing = why_not_ready(plan.url)
        if missing is None:
            ready = True
            say(f"Timbrescope {__version__} is ready: {plan.url}  (try {plan.url}/docs; Ctrl-C stops it)")
        elif time.monotonic() > report_at:
            report_at = time.monotonic() + REPORT_EVERY_S
            say(f"Not ready yet: {missing}")


def why_not_ready(url: str) -> str | None:
    """None when the service says that it is ready, else its reason, or why it could not be asked."""
    try:
        with _DIRECTLY.open(f"{url}/health/ready", timeout=READY_REQUEST_S):
            return None
    except urllib.error.HTTPError as error:
        with error, suppress(ValueError, AttributeError):
            problem = json.load(error)
            return str(problem.get("detail") or problem.get("title"))
        return f"it answers {error.code}"
    except OSError as error:  # URLError and timeouts are such
        return f"the API does not answer ({getattr(error, 'reason', error)})"


def _wait_for_redis(path: Path, supervisor: Supervisor, stopping: threading.Event) -> None:
    """Until it answers; a large append-only file may take it a while to load."""
    with redis.Redis(unix_socket_path=str(path)) as client:
        while not stopping.is_set():
            try:
                client.ping()
                return
            except redis.ConnectionError:  # not listening yet, or still loading
                supervisor.mend()
                stopping.wait(0.05)


def _require_free(host: str, port: int) -> None:
    try:
        kind, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise LaunchError(
            f"The API cannot listen on {host}:{port}: {error.strerror or error}."
            " TIMBRESCOPE_PORT and TIMBRESCOPE_HOST choose another place."
        ) from error


def _redis_memory_bytes() -> int:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    least, most = REDIS_MEMORY_BYTES
    return min(max(int(machine * REDIS_MEMORY_SHARE), least), most)
