"""The state folder is private, is used by one launcher at a time, and keeps its key."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from timbrescope import state as state_module
from timbrescope.errors import LaunchError
from timbrescope.state import StateFolder


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "deep" / "state")
    folder.create()
    return folder


@pytest.fixture
def deep_state() -> Iterator[StateFolder]:
    with tempfile.TemporaryDirectory() as base:
        yield StateFolder(Path(base) / ("d" * 60) / ("e" * 60))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_for_their_owner_only(state: StateFolder) -> None:
    assert (mode(state.path), mode(state.redis)) == (0o700, 0o700)


def test_where_the_api_answers_is_kept(state: StateFolder) -> None:
    assert state.url() is None
    for url in ("http://127.0.0.1:9000", "http://[::1]:9001"):
        state.keep_url(url)
        assert state.url() == url


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match=r"file/state cannot be used: Not a directory"):
        StateFolder(tmp_path / "file" / "state").create()


def test_a_second_launcher_is_refused(state: StateFolder) -> None:
    with (
        state.locked(),
        pytest.raises(LaunchError, match=rf"\(process {os.getpid()}\) is using {state.path}"),
        state.locked(),
    ):
        pass
    with state.locked():
        pass  # free again


def test_the_leftovers_of_a_killed_launcher_are_waited_for(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "LEFTOVER_WAIT_S", 30.0)
    gone = subprocess.Popen(["true"])
    gone.wait()
    with state.locked() as descriptor:
        (state.path / "lock").write_text(f"{gone.pid}\n")
        guard = subprocess.Popen(["sleep", "0.5"], pass_fds=[descriptor])
    with state.locked():  # the guard held it a while longer
        assert guard.wait(timeout=10) == 0
    assert (state.path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_admin_key_is_made_once(state: StateFolder) -> None:
    key, is_new = state.admin_key()
    assert is_new
    assert len(key) >= 40
    assert mode(state.path / "admin-key") == 0o600
    assert state.admin_key() == (key, False)


def test_an_interrupted_start_leaves_no_half_key(state: StateFolder) -> None:
    (state.path / "admin-key.new").touch()
    key, _ = state.admin_key()
    assert key
    assert not (state.path / "admin-key.new").exists()


def test_a_short_path_holds_its_own_socket() -> None:
    assert StateFolder(Path("/var/lib/ts")).redis_socket() == Path("/var/lib/ts/redis/redis.sock")


def test_a_long_path_has_its_socket_in_a_private_folder(deep_state: StateFolder) -> None:
    path = deep_state.redis_socket()
    try:
        assert len(os.fsencode(path)) <= state_module.SOCKET_PATH_BYTES
        assert mode(path.parent) == 0o700
        assert deep_state.redis_socket() == path  # again, and for ever
        assert StateFolder(deep_state.path / "other").redis_socket().parent != path.parent
    finally:
        path.parent.rmdir()


def test_a_foreign_socket_folder_is_refused(deep_state: StateFolder) -> None:
    folder = deep_state.redis_socket().parent
    try:
        folder.chmod(0o777)
        with pytest.raises(LaunchError, match="is not a private folder"):
            deep_state.redis_socket()
    finally:
        folder.rmdir()
