"""Bands of columns: threads carry them down and never write to one place at a time; and room to write to."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import torch

from ml.relevance.arrays import Array, aligned

Band = tuple[int, int, int, int]  # as of `ml.relevance.kernel.carry_down`

_MOST_KEPT_BYTES = 2**25
_BANDS_OF_A_THREAD = 2


def turns_of(n_columns: int, pool: int, touched: int, width: int) -> list[list[Band]]:
    """Bands of columns in two turns, those of one turn so far apart that they write to nothing in common.

    Parameters
    ----------
    n_columns : int
        Of cells.
    pool : int
        Columns of the input from one cell to the next.
    touched : int
        Columns of the input that a cell shares its relevance among.
    width : int
        Columns of the input.
    """
    n_bands = min(_BANDS_OF_A_THREAD * torch.get_num_threads(), n_columns * pool // touched)
    if torch.get_num_threads() == 1 or n_bands < 4:
        return [[(0, n_columns, 0, width)]]
    cuts = [n_columns * index // n_bands for index in range(n_bands + 1)]
    # The first turn clears all that it writes to, the second what is left between.
    edges = [cut * pool + (index % 2) * (touched - pool) for index, cut in enumerate(cuts)]
    edges[0], edges[-1] = 0, width
    bands = [
        (first, last, left, right)
        for (first, last), (left, right) in zip(pairwise(cuts), pairwise(edges), strict=True)
    ]
    return [bands[0::2], bands[1::2]]


def in_parallel(carry: Callable[[Band], None], bands: Sequence[Band]) -> None:
    """Carry bands, each thread the next that is left: some have more to share than others."""
    left = iter(bands)

    def work() -> None:
        for band in left:
            carry(band)

    n_threads = min(torch.get_num_threads(), len(bands))
    helping = [_pool(os.getpid(), torch.get_num_threads() - 1).submit(work) for _ in range(n_threads - 1)]
    work()
    for each in helping:
        each.result()


@cache
def _pool(process_id: int, n_threads: int) -> ThreadPoolExecutor:
    """Threads of this process: those of the process that it was forked from did not come along."""
    del process_id
    return ThreadPoolExecutor(n_threads, thread_name_prefix="descent")


class Scratch(threading.local):
    """Room for relevance on its way, kept by every thread: fresh memory costs a fifth of all time."""

    def __init__(self) -> None:
        self._rooms: dict[tuple[int, Any], Array] = {}

    def room(self, turn: int, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array with anything in it, which lasts until the turn after the next."""
        size = math.prod(shape)
        if size * dtype.itemsize > _MOST_KEPT_BYTES:
            return aligned(size, dtype).reshape(shape)
        at = (turn % 2, dtype)
        if at not in self._rooms or self._rooms[at].size < size:
            self._rooms[at] = aligned(size, dtype)
        return self._rooms[at][:size].reshape(shape)
