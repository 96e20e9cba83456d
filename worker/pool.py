"""How the processes of a worker's pool begin: forked from a parent that has imported all that computes.

Conventions: forked processes share what was imported with their parent, so that they are there in the time of
one warm-up and take less memory together. Where networks may run on a GPU each begins as a fresh interpreter
instead, for a forked process cannot use one that its parent has looked at, and importing torch may look. The
parent computes nothing and has a single thread, so a fork copies no half-done work.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Literal

from worker.memory import made_to_stay
from worker.settings import WorkerSettings

StartMethod = Literal["fork", "spawn"]

# What the drivers of GPUs leave on a machine: NVIDIA's, AMD's, and Windows' own under Linux.
GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
# All that answers a first request; what trains or makes data sets is imported when it is first wanted.
COMPUTING = ("worker.work",)


def start_method(settings: WorkerSettings) -> StartMethod:
    """How this machine's pool processes begin."""
    if sys.platform != "linux":
        return "spawn"  # system libraries of macOS do not outlive a fork
    if settings.device == "cpu":
        return "fork"
    may_compute = settings.device == "cuda" or any(path.exists() for path in GPU_FILES)
    return "spawn" if may_compute else "fork"


def make_ready_to_fork() -> None:
    """In the parent: imports what computes."""
    with made_to_stay():
        for module in COMPUTING:
            import_module(module)
