"""Storage: a place for the files of a data set or a model, a local folder or anything that fsspec reaches.

Conventions: names are relative, with `/` between parts, and never lead out of the place. A file is written
whole or not at all: locally by renaming, elsewhere by the store itself, which shows an object only when all
of it is there. Whatever goes wrong is a `StorageError` that names the file and the reason, and never a
password or key that a URL contained.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from ml.errors import InvalidRequestError, StorageError, SystemDependencyError

CACHE_VARIABLE = "TIMBRESCOPE_CACHE_DIR"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PARTIAL = ".partial"
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"\?\S*")


class Storage(ABC):
    """A place for files.

    `str()` of it is its address without credentials. It can be pickled, and handed to other threads.
    """

    @abstractmethod
    def write_whole(self, name: str, data: bytes) -> None:
        """Write a file so that it is either absent, as before, or complete, whatever interrupts."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a whole file; raises `StorageError` when it is missing."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""

    @abstractmethod
    def list(self) -> tuple[str, ...]:
        """Names of all files that lie directly here, sorted; none when the place does not exist."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; it may be missing."""

    @abstractmethod
    def remove_all(self) -> None:
        """Remove the place and everything in it."""

    @abstractmethod
    def local_path(self, name: str, sha256: str | None = None) -> Path:
        """Where the file can be read on this machine.

        Parameters
        ----------
        name : str
        sha256 : str, optional
            What its content should be. A file that lies elsewhere is fetched into a local cache, once for
            each content; without the hash it is fetched anew each time.

        Raises
        ------
        StorageError
            When it is missing, or what was fetched has another hash.
        """

    @abstractmethod
    def child(self, name: str) -> Storage:
        """A place within this one."""

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """Read several whole files."""
        return {name: self.read(name) for name in names}


def open_storage(url: str | Path | Storage) -> Storage:
    """Open a place for files; nothing is made or read yet.

    Parameters
    ----------
    url : str, Path or Storage
        A folder, as a path or a `file://` URL, or a URL that fsspec knows, such as ``s3://bucket/folder`` or
        ``memory://name``. Credentials for stores come from the environment.

    Returns
    -------
    Storage

    Raises
    ------
    InvalidRequestError
        When the URL is of no known kind.
    SystemDependencyError
        When the package that reaches this kind of store is not installed.
    """
    if isinstance(url, Storage):
        return url
    if isinstance(url, Path) or "://" not in url:
        if not str(url):
            raise InvalidRequestError("A place for files cannot have an empty name.")
        return LocalStorage(Path(url))
    if urlsplit(url).scheme == "file":
        if urlsplit(url).netloc not in ("", "localhost"):
            raise InvalidRequestError(f"{shown(url)} names another host; a file:// URL has three slashes.")
        return LocalStorage(Path(unquote(urlsplit(url).path)))
    return RemoteStorage(url)


def shown(url: str) -> str:
    """A URL without what may be secret: user, password, query."""
    return _QUERY.sub("", _USER_INFO.sub("", url))


class LocalStorage(Storage):
    """A folder on this machine; made when something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def write_whole(self, name: str, data: bytes) -> None:
        path = self._path(name)
        # unique on every machine that shares the folder
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
        with _storage_faults(f"{path} cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())  # a machine that fails must not leave a renamed, empty file
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        with _storage_faults(f"{self._path(name)} cannot be read"):
            return self._path(name).read_bytes()

    def exists(self, name: str) -> bool:
        return self._path(name).is_file()

    def list(self) -> tuple[str, ...]:
        with _storage_faults(f"{self.folder} cannot be listed"):
            if not self.folder.exists():
                return ()
            found = (entry.name for entry in os.scandir(self.folder) if entry.is_file())
            return tuple(sorted(name for name in found if not name.endswith(_PARTIAL)))

    def remove(self, name: str) -> None:
        with _storage_faults(f"{self._path(name)} cannot be removed"):
            self._path(name).unlink(missing_ok=True)

    def remove_all(self) -> None:
        with _storage_faults(f"{self.folder} cannot be removed"):
            for folder, _, names in os.walk(self.folder, topdown=False):
                for name in names:
                    (Path(folder) / name).unlink(missing_ok=True)
                Path(folder).rmdir()

    def local_path(self, name: str, sha256: str | None = None) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise StorageError(f"{path} is missing.")
        return path

    def child(self, name: str) -> Storage:
        return LocalStorage(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / _checked(name)


class RemoteStorage(Storage):
    """A place that fsspec reaches."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._open()  # an unknown kind of store is refused here, not when something has been rendered

    def __str__(self) -> str:
        return shown(self._url)

    def write_whole(self, name: str, data: bytes) -> None:
        with self._faults(f"{self}/{name} cannot be written"):
            files, path = self._at(name)
            files.pipe_file(path, data)

    def read(self, name: str) -> bytes:
        with self._faults(f"{self}/{name} cannot be read"):
            files, path = self._at(name)
            data: bytes = files.cat_file(path)
            return data

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        if not names:
            return {}
        with self._faults(f"{self} cannot be read"):
            paths = {self._at(name)[1]: name for name in names}
            found = self._open()[0].cat(list(paths), on_error="raise")
            return {paths[path]: data for path, data in found.items()}

    def exists(self, name: str) -> bool:
        with self._faults(f"{self}/{name} cannot be looked for"):
            files, path = self._at(name)
            return bool(files.isfile(path))

    def list(self) -> tuple[str, ...]:
        with self._faults(f"{self} cannot be listed"):
            files, folder = self._open()
            try:
                entries = files.ls(folder, detail=True)
            except FileNotFoundError:
                return ()
            return tuple(sorted(PurePosixPath(e["name"]).name for e in entries if e["type"] == "file"))

    def remove(self, name: str) -> None:
        with self._faults(f"{self}/{name} cannot be removed"):
            files, path = self._at(name)
            if files.isfile(path):
                files.rm_file(path)

    def remove_all(self) -> None:
        with self._faults(f"{self} cannot be removed"):
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
            raise StorageError(f"{self}/{name} is damaged: its SHA-256 is {found}, not {sha256}.")
        if not cache.exists(found):
            cache.write_whole(found, data)
        return cache.local_path(found)

    def child(self, name: str) -> Storage:
        return RemoteStorage(f"{self._url}/{_checked(name)}")

    def _at(self, name: str) -> tuple[Any, str]:
        files, folder = self._open()
        return files, f"{folder}/{_checked(name)}"

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
    def _faults(self, what: str) -> Iterator[None]:
        # every store has errors of its own, which have no base in common
        try:
            yield
        except (StorageError, InvalidRequestError, SystemDependencyError):
            raise
        except FileNotFoundError as error:
            raise StorageError(f"{what}: it is missing.") from error
        except Exception as error:
            raise StorageError(f"{what}: {shown(str(error)) or type(error).__name__}.") from None


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


def _checked(name: str) -> str:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise InvalidRequestError(f"{name!r} is no name of a file in a place for files.")
    return name


@contextmanager
def _storage_faults(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"{what}: it is missing.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            reason = f"the disk is full ({reason})"
        raise StorageError(f"{what}: {reason}.") from error
