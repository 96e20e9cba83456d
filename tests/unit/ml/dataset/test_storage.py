"""Storage: the same behaviour in a folder, in memory and in an S3-style store."""

from __future__ import annotations

import errno
import hashlib
import pickle
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pytest

from ml.dataset.storage import LocalStorage, RemoteStorage, Storage, open_storage, shown
from ml.errors import InvalidRequestError, StorageError, StorageUnavailableError, SystemDependencyError
from tests.unit.ml.dataset.conftest import SECRET

DATA = b"\x00\xff" * 40_000


@pytest.fixture(params=["folder", "file://", "memory://", "s3://"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    place = uuid.uuid4().hex
    if request.param == "s3://":
        return open_storage(f"{request.getfixturevalue('s3_bucket')}/{place}")
    urls = {
        "folder": str(tmp_path / place),
        "file://": f"file://{tmp_path}/{place}%20spaced",
        "memory://": f"memory://{place}",
    }
    return open_storage(urls[request.param])


def test_files_come_back_as_they_were_written(storage: Storage) -> None:
    assert storage.list() == ()
    assert not storage.exists("a.npy")
    storage.write_whole("b.json", b"{}")
    storage.write_whole("a.npy", b"before")
    storage.write_whole("a.npy", DATA)
    storage.child("deeper").write_whole("c.txt", b"c")
    assert storage.exists("a.npy")
    assert storage.read("a.npy") == DATA
    assert storage.list() == ("a.npy", "b.json")
    assert storage.read_many(["b.json", "a.npy"]) == {"a.npy": DATA, "b.json": b"{}"}
    assert storage.read("deeper/c.txt") == b"c"
    assert open_storage(str(storage)).read("a.npy") == DATA
    assert pickle.loads(pickle.dumps(storage)).read("a.npy") == DATA
    storage.remove("b.json")
    storage.remove("b.json")
    assert storage.list() == ("a.npy",)
    storage.remove_all()
    storage.remove_all()
    assert storage.list() == ()
    assert not storage.exists("deeper/c.txt")


def test_a_missing_file_is_named(storage: Storage) -> None:
    storage.write_whole("here", b"")
    for reading in (storage.read, storage.local_path):
        with pytest.raises(StorageUnavailableError, match=r"nowhere\.npy.*missing"):
            reading("nowhere.npy")
    with pytest.raises(StorageUnavailableError):
        storage.read_many(["here", "nowhere.npy"])


def test_what_others_wrote_is_seen_at_once(storage: Storage) -> None:
    other = open_storage(str(storage))
    assert other.list() == ()
    storage.write_whole("new", b"1")
    assert other.list() == ("new",)
    storage.write_whole("new", b"2")
    assert other.read("new") == b"2"


@pytest.mark.parametrize("name", ["", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a\\b", "x\0"])
def test_names_do_not_lead_out_of_the_place(storage: Storage, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        storage.write_whole(name, b"")
    with pytest.raises(InvalidRequestError):
        storage.child(name)


def test_fetched_files_are_checked_and_kept(cache: Path) -> None:
    storage = open_storage("memory://fetched")
    storage.write_whole("a.npy", DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    path = storage.local_path("a.npy", digest)
    assert path.read_bytes() == DATA
    assert path.is_relative_to(cache)
    storage.remove("a.npy")
    assert storage.local_path("a.npy", digest) == path
    storage.write_whole("a.npy", b"damaged")
    assert storage.local_path("a.npy").read_bytes() == b"damaged"
    with pytest.raises(StorageUnavailableError, match=r"memory://fetched/a\.npy is damaged"):
        storage.local_path("a.npy", "0" * 64)


def test_a_writer_that_is_killed_leaves_nothing_half(tmp_path: Path) -> None:
    LocalStorage(tmp_path).write_whole("a", b"before")
    killed_midway = f"""
import os, signal
from pathlib import Path
from ml.dataset import local_storage
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
local_storage.LocalStorage(Path({str(tmp_path)!r})).write_whole("a", b"after")
"""
    ended = subprocess.run([sys.executable, "-c", killed_midway], check=False)
    assert ended.returncode == -signal.SIGKILL
    storage = LocalStorage(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert storage.list() == ("a",)
    assert storage.read("a") == b"before"
    storage.sweep()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_sweeping_does_not_disturb_who_is_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, replace = LocalStorage(tmp_path), Path.replace

    def swept_just_before(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        storage.sweep()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", swept_just_before)
    storage.write_whole("a", DATA)
    assert storage.read("a") == DATA


def test_a_full_disk_is_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ml.dataset.local_storage.os.fsync", full)
    with pytest.raises(
        StorageError, match=r"a\.npy cannot be written: the disk is full \(No space left on device\)"
    ):
        LocalStorage(tmp_path).write_whole("a.npy", DATA)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"file/x cannot be made: Not a directory"):
        open_storage(tmp_path / "file" / "x").write_whole("a", b"")


def test_what_cannot_be_read_is_told_from_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    storage.write_whole("folder/a", DATA)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for function in ("pathlib.Path.read_bytes", "pathlib.Path.is_file", "os.scandir", "os.fsync"):
        monkeypatch.setattr(function, denied)  # a test that runs as root is never denied anything
    for reading in (lambda: storage.read("folder/a"), lambda: storage.exists("folder/a"), storage.list):
        with pytest.raises(StorageUnavailableError, match="Permission denied"):
            reading()
    with pytest.raises(StorageError, match="cannot be written: Permission denied") as caught:
        storage.write_whole("b", DATA)
    assert type(caught.value) is StorageError


def test_a_store_that_does_not_answer_is_not_full(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listening
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        files = fsspec.get_filesystem_class("s3")
        monkeypatch.setattr(files, "retries", 1)
        files.clear_instance_cache()
        storage = open_storage(f"{s3_bucket}/x")
        with pytest.raises(StorageUnavailableError, match="cannot be written"):
            storage.write_whole("a", DATA)
        with pytest.raises(StorageUnavailableError, match="cannot be read"):
            storage.read("a")
    files.clear_instance_cache()


def test_urls_of_no_known_kind_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="gopher://place is no place for files"):
        open_storage("gopher://place")
    with pytest.raises(InvalidRequestError, match="names another host"):
        open_storage("file://elsewhere/folder")
    with pytest.raises(InvalidRequestError, match="empty name"):
        open_storage("")


def test_a_store_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(url: str, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("ml.dataset.remote_storage.fsspec.url_to_fs", not_installed)
    with pytest.raises(SystemDependencyError, match=r"pip install 'timbrescope\[s3\]'"):
        open_storage("s3://bucket")


def test_messages_hold_no_credentials(s3_bucket: str) -> None:
    assert shown("ftp://me:hunter2@host/folder?token=abc") == "ftp://host/folder"
    with pytest.raises(StorageError) as caught:
        open_storage("s3://no-such-bucket/x").write_whole("a", b"")
    assert "s3://no-such-bucket/x/a cannot be written" in str(caught.value)
    assert SECRET not in str(caught.value)

    class Refusing(RemoteStorage):
        def _open(self) -> tuple[object, str]:
            raise OSError("cannot reach ftp://me:hunter2@host/folder?token=abc today")

    with pytest.raises(InvalidRequestError):
        open_storage("gopher://me:hunter2@place")
    refusing = Refusing.__new__(Refusing)
    refusing._url = "ftp://me:hunter2@host/folder"
    with pytest.raises(StorageError) as caught:
        refusing.read("a")
    assert str(caught.value) == "ftp://host/folder/a cannot be read: cannot reach ftp://host/folder today."
