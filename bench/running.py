"""A whole service for the rows that need one: a folder and a port of its own, ended with the program."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

READY_S = 180.0


@dataclass(frozen=True)
class RunningService:
    """A service that was started.

    Attributes
    ----------
    url : str
    ready_after_s : float
        From its start until `/health/ready`.
    """

    url: str
    ready_after_s: float
    process: subprocess.Popen[bytes]
    folder: Path

    def stop(self) -> None:
        """End it, and remove what it wrote."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_service(**settings: str) -> RunningService:
    """Start redis, workers and the API, and wait until all are ready.

    Parameters
    ----------
    **settings : str
        Environment variables.

    Raises
    ------
    TimeoutError
        When it is not ready in time.
    """
    folder = Path(tempfile.mkdtemp(prefix="ts-bench-"))
    environment = environment_in(folder, **settings)
    started = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "timbrescope", "up"], env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{environment['TIMBRESCOPE_PORT']}"
    service = RunningService(url, 0.0, process, folder)
    atexit.register(service.stop)
    while time.monotonic() < started + READY_S:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=2):
                return RunningService(url, time.monotonic() - started, process, folder)
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"The service was not ready within {READY_S:g} s; see {folder / 'log'}.")


def environment_in(folder: Path, **settings: str) -> dict[str, str]:
    """This environment for a service that keeps its state in a folder and listens on a port that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return {
        **os.environ,
        "TIMBRESCOPE_STATE_DIR": str(folder),
        "TIMBRESCOPE_PORT": str(port),
        **settings,
    }
