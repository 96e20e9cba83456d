"""Storage that fsspec reaches, such as S3-style stores, and the local cache of what was fetched there."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import fsspec

from ml.dataset.local_storage import LocalStorage
from ml.dataset.storage_base import Storage, checked_name
from ml.errors import (
    InvalidRequestError,
    StorageError,
    StorageUnavailableError,
    SystemDependencyError,
)

CACHE_VARIABLE = "TIMBRESCOPE_CACHE_DIR"
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"\?\S*")


class RemoteStorage(Storage):
    """A place that fsspec reaches."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._open()  # an unknown kind of store is refused here, not when something has been rendered

    def __str__(self) -> str:
        return shown(self._url)

    def write_whole(self, name: str, data: bytes) -> None:
        with self._faults(StorageError, f"{self}/{name} cannot be written"):
            files, path = self._at(name)
            files.pipe_file(path, data)

    def read(self, name: str) -> bytes:
        with self._faults(StorageUnavailableError, f"{self}/{name} cannot be read"):
            files, path = self._at(name)
            data: bytes = files.cat_file(path)
            return data

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        if not names:
            return {}
        with self._faults(StorageUnavailableError, f"{self} cannot be read"):
            paths = {self._at(name)[1]: name for name in names}
            found = self._open()[0].cat(list(paths), on_error="raise")
            return {paths[path]: data for path, data in found.items()}

    def exists(self, name: str) -> bool:
        with self._faults(StorageUnavailableError, f"{self}/{name} cannot be looked for"):
            files, path = self._at(name)
            return bool(files.isfile(path))

    def list(self) -> tuple[str, ...]:
        with self._faults(StorageUnavailableError, f"{self} cannot be listed"):
            files, folder = self._open()
            try:
                entries = files.ls(folder, detail=True)
            except FileNotFoundError:
                return ()
            return tuple(sorted(PurePosixPath(e["name"]).name for e in entries if e["type"] == "file"))

    def remove(self, name: str) -> None:
        with self._faults(StorageError, f"{self}/{name} cannot be removed"):
            files, path = self._at(name)
            if files.isfile(path):
                files.rm_file(path)

    def remove_all(self) -> None:
        with self._faults(StorageError, f"{self} cannot be removed"):
            files, folder = self._open()
            if files.exists(folder):
                files.rm(folder, recursive=True)

    def local_path(self, name: str, sha256: str | None = None) -> Path:
        cache = LocalStorage(cache_folder())
        if sha256 is not None and cache.exists(sha256):
            return cache.local_path(sha256)
        data = self.read(name)
        found = hashlib.sha256(data).hexdigest()
        if sha256 not in (None, found):
            raise StorageUnavailableError(f"{self}/{name} is damaged: its SHA-256 is {found}, not {sha256}.")
        if not cache.exists(found):
            cache.write_whole(found, data)
        return cache.local_path(found)

    def child(self, name: str) -> Storage:
        return RemoteStorage(f"{self._url}/{checked_name(name)}")

    def _at(self, name: str) -> tuple[Any, str]:
        files, folder = self._open()
        return files, f"{folder}/{checked_name(name)}"

    def _open(self) -> tuple[Any, str]:
        """The file system, which fsspec keeps for each process and thread, and the folder's path in it."""
        try:
            # others write to the same place: what a listing said a moment ago may be wrong
            files, folder = fsspec.url_to_fs(self._url, use_listings_cache=False)
        except ImportError as error:
            kind = urlsplit(self._url).scheme
            raise SystemDependencyError(
                f"{kind}:// needs a package that is not installed: pip install 'timbrescope[{kind}]', or the "
                f"package that fsspec asks for ({shown(str(error))})."
            ) from error
        except ValueError as error:
            raise InvalidRequestError(f"{self} is no place for files: {shown(str(error))}.") from error
        return files, folder.rstrip("/")

    @contextmanager
    def _faults(self, kind: type[StorageError], what: str) -> Iterator[None]:
        # every store has errors of its own, which have no base in common
        try:
            yield
        except (StorageError, InvalidRequestError, SystemDependencyError):
            raise
        except FileNotFoundError as error:
            raise kind(f"{what}: it is missing.") from error
        except Exception as error:
            if _says_nobody_answered(error):
                kind = StorageUnavailableError
            raise kind(f"{what}: {shown(str(error)) or type(error).__name__}.") from None


def _says_nobody_answered(error: BaseException | None) -> bool:
    """Whether the store was not reached at all, which may be told by what an error was made from only."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)):
            return True
        error = error.__cause__ or error.__context__
    return False


def cache_folder() -> Path:
    """Where fetched files are kept: `TIMBRESCOPE_CACHE_DIR`, or the user's folder for caches."""
    asked = os.environ.get(CACHE_VARIABLE)
    if asked:
        return Path(asked)
    parent = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(parent) if parent else Path.home() / ".cache") / "timbrescope"
    except RuntimeError:  # a process without a home
        return Path(tempfile.gettempdir()) / "timbrescope-cache"


def shown(url: str) -> str:
    """A URL without what may be secret: user, password, query."""
    return _QUERY.sub("", _USER_INFO.sub("", url))
