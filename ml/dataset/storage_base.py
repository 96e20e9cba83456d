"""What every storage can do, whatever lies behind it (see `ml.dataset.storage`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from ml.errors import InvalidRequestError


class Storage(ABC):
    """A place for files.

    `str()` of it is its address without credentials. It can be pickled, and handed to other threads.
    """

    @abstractmethod
    def write_whole(self, name: str, data: bytes) -> None:
        """Write a file so that it is either absent, as before, or complete, whatever interrupts."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a whole file; raises `StorageUnavailableError` when it is missing."""

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
        StorageUnavailableError
            When it is missing, or what was fetched has another hash.
        """

    @abstractmethod
    def child(self, name: str) -> Storage:
        """A place within this one."""

    def sweep(self) -> None:  # noqa: B027  most places have nothing to sweep
        """Remove what writers that were killed left behind; nobody ever sees such files by name."""

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """Read several whole files."""
        return {name: self.read(name) for name in names}


def checked_name(name: str) -> str:
    """The name, unless it leads elsewhere."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise InvalidRequestError(f"{name!r} is no name of a file in a place for files.")
    return name
