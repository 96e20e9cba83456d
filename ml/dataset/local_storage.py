"""Storage in a folder of this machine, or one that several machines share."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml.dataset.storage_base import Storage, checked_name
from ml.errors import StorageError, StorageUnavailableError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PARTIAL = ".partial"
_ATTEMPTS = 3


class LocalStorage(Storage):
    """A folder on this machine; made when something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def write_whole(self, name: str, data: bytes) -> None:
        path = self._path(name)
        # unique on all machines that share the folder
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
        with _faults(StorageError, f"The folder {path.parent} cannot be made"):
            path.parent.mkdir(parents=True, exist_ok=True)
        with _faults(StorageError, f"{path} cannot be written"):
            for attempt in range(_ATTEMPTS):
                try:
                    _write_durably(partial, data)
                    partial.replace(path)
                    return
                except FileNotFoundError:  # another process swept it away just now
                    if attempt == _ATTEMPTS - 1:
                        raise
                finally:
                    partial.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        with _faults(StorageUnavailableError, f"{self._path(name)} cannot be read"):
            return self._path(name).read_bytes()

    def exists(self, name: str) -> bool:
        with _faults(StorageUnavailableError, f"{self._path(name)} cannot be looked for"):
            return self._path(name).is_file()

    def list(self) -> tuple[str, ...]:
        with _faults(StorageUnavailableError, f"{self.folder} cannot be listed"):
            if not self.folder.exists():
                return ()
            found = (entry.name for entry in os.scandir(self.folder) if entry.is_file())
            return tuple(sorted(name for name in found if not name.endswith(_PARTIAL)))

    def remove(self, name: str) -> None:
        with _faults(StorageError, f"{self._path(name)} cannot be removed"):
            self._path(name).unlink(missing_ok=True)

    def remove_all(self) -> None:
        with _faults(StorageError, f"{self.folder} cannot be removed"):
            for folder, _, names in os.walk(self.folder, topdown=False):
                for name in names:
                    (Path(folder) / name).unlink(missing_ok=True)
                Path(folder).rmdir()

    def sweep(self) -> None:
        for partial in self.folder.glob(f".*{_PARTIAL}"):
            self.remove(partial.name)

    def local_path(self, name: str, sha256: str | None = None) -> Path:
        path = self._path(name)
        if not self.exists(name):
            raise StorageUnavailableError(f"{path} is missing.")
        return path

    def child(self, name: str) -> Storage:
        return LocalStorage(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / checked_name(name)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())  # or a machine that fails might leave a renamed, empty file


@contextmanager
def _faults(kind: type[StorageError], what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise kind(f"{what}: it is missing.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            reason = f"the disk is full ({reason})"
        raise kind(f"{what}: {reason}.") from error
