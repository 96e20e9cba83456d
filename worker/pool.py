"""How the processes of a worker's pool begin: forked from a parent that has done it all once.

Conventions: forked processes share what their parent has imported, compiled and tried out, so that they are
there at once, also in the place of one that was killed, and take less memory together. Where networks may run
on a GPU each begins as a fresh interpreter instead, for a forked process cannot use one that its parent has
looked at, and importing torch may look. The parent tries out with a single thread and has no other, so a fork
copies no half-done work; it does so before there are jobs and never computes again.
"""

import os
import sys
from pathlib import Path
from typing import Literal

from worker.memory import made_to_stay
from worker.settings import WorkerSettings

StartMethod = Literal["fork", "spawn"]

# What the drivers of GPUs leave on a machine: NVIDIA's, AMD's, and Windows' own under Linux.
GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))


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
    code = Path(__file__).resolve().parent.parent / "ml"
    if not os.access(code, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str((settings.state_dir / "compiled").absolute()))


def make_ready_to_fork(settings: WorkerSettings) -> None:
    """In the parent: imports what computes, and does with the default model what requests will ask for."""
    with made_to_stay():
        import torch

        from ml.model import load_model
        from worker.host import installed_models
        from worker.work import warm_up

        torch.set_num_threads(1)
        warm_up(load_model(installed_models(settings.models_dir)[settings.default_model], "cpu"))


def needs_warm_up(settings: WorkerSettings) -> bool:
    """Whether a process that begins has to try things out itself: alone, or with threads to compute with."""
    return start_method(settings) == "spawn" or settings.threads > 1
