"""Finding the Redis of the service that runs."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from timbrescope.errors import LaunchError
from timbrescope.running import connect_to_running, url_of_running
from timbrescope.state import StateFolder
from worker.settings import SharedSettings


@contextmanager
def answering(path: Path) -> Iterator[None]:
    executable = shutil.which("redis-server")
    assert executable
    command = [executable, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(path.parent)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            while not path.exists():
                assert server.poll() is None
            yield
        finally:
            server.terminate()


def test_the_redis_that_is_named(redis_url: str, tmp_path: Path) -> None:
    settings = SharedSettings(redis_url=redis_url, state_dir=tmp_path)
    with connect_to_running(settings) as found:
        assert found.set("x", 1)
    assert url_of_running(settings) == redis_url
    assert list(tmp_path.iterdir()) == []


def test_the_private_redis_of_the_state_folder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    with answering(folder.redis_socket()), connect_to_running(SharedSettings(state_dir=folder.path)) as found:
        assert found.connection_pool.connection_kwargs["path"] == str(folder.redis_socket())


def test_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=rf"No `timbrescope up` runs with the state folder {tmp_path};"):
        connect_to_running(SharedSettings(state_dir=tmp_path))


def test_silence_where_a_redis_is_named_shows_no_password(free_port: int) -> None:
    settings = SharedSettings(redis_url=f"redis://somebody:sesame@127.0.0.1:{free_port}/0?password=sesame")
    with pytest.raises(
        LaunchError, match=rf"Redis at redis://127.0.0.1:{free_port}/0 does not answer: .*\.$"
    ):
        connect_to_running(settings)


def test_a_refusal(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("requirepass", "sesame")
        try:
            with pytest.raises(LaunchError, match=r"HELLO AUTH|Authentication required"):
                connect_to_running(SharedSettings(redis_url=redis_url))
        finally:
            client.config_set("requirepass", "")
