"""What all tests share: a machine without settings of its own, a real private redis-server, free ports.

Every test sees an environment without `TIMBRESCOPE_*`, so that what a developer has exported changes nothing;
only where this machine keeps its SoundFonts is still told.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

REDIS_START_S = 10.0
"""How long redis-server may take to answer; it takes milliseconds unless the machine is overloaded."""

hypothesis.settings.register_profile(
    "timbrescope",
    deadline=None,  # timings on a shared machine say nothing about the code
    print_blob=True,
)
hypothesis.settings.load_profile("timbrescope")

for _name in [name for name in os.environ if name.startswith("TIMBRESCOPE_")]:
    if _name != "TIMBRESCOPE_SOUNDFONT_PATH":
        del os.environ[_name]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The size of the reliability tests; pytest reads options before it looks into folders below this one."""
    group = parser.getgroup("reliability")
    group.addoption(
        "--full", action="store_true", help="run the reliability tests in full, and keep their figures"
    )
    group.addoption(
        "--seed", type=int, default=1, help="the seed of what the reliability tests draw (default: 1)"
    )


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a real redis-server on a unix socket, for this test session alone."""
    executable = shutil.which("redis-server")
    assert executable, "redis-server is missing: run `make install`"
    folder = Path(tempfile.mkdtemp(prefix="ts-redis-"))  # short: a socket's path has at most 107 bytes
    path = folder / "redis.sock"
    command = [executable, "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    command += ["--dir", str(folder), "--save", "", "--maxmemory-policy", "noeviction"]
    command += ["--logfile", str(folder / "redis.log")]
    process = subprocess.Popen(command)
    try:
        _wait_for(path, process)
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait(timeout=REDIS_START_S)
        shutil.rmtree(folder)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + REDIS_START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"redis-server ended with code {process.returncode}"
        try:
            with redis.Redis(unix_socket_path=str(path)) as client:
                client.ping()
                return
        except redis.ConnectionError:
            time.sleep(0.02)
    raise AssertionError(f"redis-server did not answer within {REDIS_START_S} s")
