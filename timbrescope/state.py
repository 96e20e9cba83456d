"""The state folder: what `timbrescope up` keeps between its runs, and the lock on it.

One launcher at a time holds the lock. The folder's contents:

    lock        locked (flock) by the running launcher and its guard; holds the launcher's process id
    url         where the API of the running launcher answers, or that of the last one
    admin-key   made on the first start, readable by its owner only
    redis/      the private redis-server's append-only file and log, and its socket where the path fits

Workers keep data sets (`datasets/`), models (`models/`) and copies of models (`model-cache/`) beside these,
unless settings say otherwise.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from timbrescope.errors import LaunchError

SOCKET_PATH_BYTES = 100
"""Longest socket path used; kernels take 103 (macOS) or 107 bytes (Linux)."""

LEFTOVER_WAIT_S = 15.0
"""How long to wait for the processes of a launcher that was killed: its guard ends them in a few seconds."""

PRIVATE = 0o700


@dataclass(frozen=True)
class StateFolder:
    """Paths within a state folder, created on first use."""

    path: Path

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    def create(self) -> None:
        """Make the folders, for their owner only.

        Raises
        ------
        LaunchError
            When they cannot be made or written to.
        """
        try:
            self.path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            self.redis.mkdir(mode=PRIVATE, exist_ok=True)
            self.redis.chmod(PRIVATE)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise LaunchError(
                f"The state folder {self.path} cannot be used: {error.strerror or error}"
                " (TIMBRESCOPE_STATE_DIR names another)."
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the folder's lock; yields its file descriptor, which a process may inherit to hold it on.

        Raises
        ------
        LaunchError
            When another launcher holds it.
        """
        with (self.path / "lock").open("a+") as file:
            self._lock(file)
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield file.fileno()

    def _lock(self, file: IO[str]) -> None:
        deadline = time.monotonic() + LEFTOVER_WAIT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                if _is_alive(holder) or time.monotonic() > deadline:
                    raise LaunchError(
                        f"Another `timbrescope up` (process {holder or 'unknown'}) is using {self.path};"
                        " stop it, or choose another folder with TIMBRESCOPE_STATE_DIR."
                    ) from None
            time.sleep(0.1)  # its launcher is gone and its guard still clearing up

    def admin_key(self) -> tuple[str, bool]:
        """The admin key that is kept here, and whether it was made just now."""
        path = self.path / "admin-key"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text().strip(), False
        key = secrets.token_urlsafe(32)
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{key}\n")
        unfinished.rename(path)
        return key, True

    def keep_url(self, url: str) -> None:
        """Say where the API answers, for the commands that ask it."""
        unfinished = self.path / "url.new"
        unfinished.write_text(f"{url}\n")
        unfinished.replace(self.path / "url")

    def url(self) -> str | None:
        """Where the API of the launcher here answers; None when none was ever started here."""
        with contextlib.suppress(OSError):
            return (self.path / "url").read_text().strip() or None
        return None

    def redis_socket(self) -> Path:
        """Where the private redis-server listens: here, or in a private folder when this path is too long."""
        here = self.redis / "redis.sock"
        if len(os.fsencode(here)) <= SOCKET_PATH_BYTES:
            return here
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        folder = Path("/tmp") / f"timbrescope-{os.getuid()}-{name}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=PRIVATE)
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise LaunchError(
                f"{folder} is not a private folder of this user; remove it, or choose a shorter state folder."
            )
        return folder / "redis.sock"


def _is_alive(process_id: str) -> bool:
    if not process_id.isdigit():
        return True  # just being written
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
