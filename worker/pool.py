"""How the processes of a worker's pool begin: forked from a parent that has done it all once.

Conventions: forked processes share what their parent has imported, compiled and tried out, so that they are
there at once, also in the place of one that was killed, and take less memory together. Where networks may run
on a GPU each begins as a fresh interpreter instead, for a forked process cannot use one that its parent has
looked at, and importing torch may look. The parent tries out with a single thread and has no other, so a fork
copies no half-done work; it does so before there are jobs and never computes again.
"""

import sys
import threading
from pathlib import Path
from typing import Literal

from worker.memory import made_to_stay
from worker.settings import WorkerSettings

StartMethod = Literal["fork", "spawn"]

# What the drivers of GPUs leave on a machine: NVIDIA's, AMD's, and Windows' own under Linux.
GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))


# Set in a parent that has done it all once; forked processes find it set, fresh interpreters do not.
_tried_out = threading.Event()


def start_method(settings: WorkerSettings) -> StartMethod:
    """How this machine's pool processes begin."""
    if sys.platform != "linux":
        return "spawn"  # system libraries of macOS do not outlive a fork
    if settings.device == "cpu":
        return "fork"
    may_compute = settings.device == "cuda" or any(path.exists() for path in GPU_FILES)
    return "spawn" if may_compute else "fork"


def keep_compiled(settings: WorkerSettings) -> None:
    """What numba compiles is kept for later starts: beside the code, or else with the state."""
    from ml.relevance.compiled import keep_elsewhere

    keep_elsewhere(settings.state_dir / "compiled")


def make_ready_to_fork(settings: WorkerSettings) -> None:
    """In the parent: imports what computes, and does with the default model what requests will ask for."""
    with made_to_stay():
        import torch

        from ml.model import load_model
        from worker.host import installed_models
        from worker.work import warm_up

        torch.set_num_threads(1)
        warm_up(load_model(installed_models(settings.models_dir)[settings.default_model], "cpu"))
    _tried_out.set()


def needs_warm_up(settings: WorkerSettings) -> bool:
    """Whether a process that begins has to try things out itself: no parent did, or it has threads for them.

    A parent that failed at it counts as none, so what is broken is found before the process says that it is
    ready: Celery logs what its signals' receivers raise, and goes on.
    """
    return not _tried_out.is_set() or settings.threads > 1
