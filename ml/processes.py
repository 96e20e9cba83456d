"""Work over several processes, calmly: results in their order, one computing thread in each process.

So results do not depend on the number of processes, nor on the machine's cores.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class Processes:
    """A pool, or this process alone. A context manager; leaving it stops what has not begun.

    Parameters
    ----------
    n_jobs : int
        Processes; 1 works in this one.
    """

    def __init__(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._exit = contextlib.ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Processes:
        if self._n_jobs == 1:
            self._exit.enter_context(one_thread())
        else:
            # spawn: a forked FluidSynth, BLAS or CUDA would share state with its parent
            pool = ProcessPoolExecutor(self._n_jobs, multiprocessing.get_context("spawn"), calm)
            self._exit.callback(pool.shutdown, wait=True, cancel_futures=True)
            self._pool = pool
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Apply a function to items, in their order; with several processes all three must be picklable."""
        if self._pool is None:
            return map(function, items)
        return self._pool.map(function, items)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute as a process of many does."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def calm() -> None:
    """Leave Ctrl-C to the parent, and one computing thread to each process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
