"""Descent on processors: what shares no relevance costs nothing (`ml.relevance.kernel`).

The way from one convolution's output to another's input, as in `ml.relevance.descent`, but cell by cell: what
a cell of a window shares is worked out once for all maps and spread over each, and cells that ReLU silenced
or that lost their max pooling are left out. Relevance is `(maps, height, width, channels)` on the way, with
the margins that the next convolution's padding asks for.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.relevance import kernel
from ml.relevance.methods import EPSILON, Rule
from ml.relevance.rules import inputs_of, shares_of
from ml.relevance.trace import Step

Array = NDArray[Any]
_Band = tuple[int, int, int, int]  # as of `kernel.carry_down`

_MOST_MAPS = 32  # carried at once: bounds memory, and shares of a cell are worked out once for them
_MOST_KEPT_BYTES = 2**26
_BANDS_OF_A_THREAD = 2
_NO_WINNERS = np.zeros(0, dtype=np.uint8)


@dataclass(frozen=True)
class _Weights:
    """A convolution's weights by a rule, as the kernel takes them: they depend on no window.

    A convolution with a stride is one of stride 1 over inputs that are folded: what lies within a stride
    becomes channels.
    """

    excites: Array  # (n_out * padded patch,)
    inhibits: Array
    bias: Array  # (n_out,)
    split: tuple[Any, Any, bool]
    epsilon: Any
    n_groups: int
    extent: tuple[int, int]  # rows and columns of the kernel over folded inputs
    run: int  # numbers in a row of a patch, padded

    @staticmethod
    def of(rule: Rule, convolution: nn.Conv2d) -> _Weights:
        shares = shares_of(rule, convolution)
        down, right = convolution.stride
        weights = shares.weights.permute(0, 2, 3, 1).cpu().numpy()
        rows, columns = -(-weights.shape[1] // down), -(-weights.shape[2] // right)
        whole = _padded(weights, (len(weights), rows * down, columns * right, weights.shape[3]))
        folded = _folded(whole, (down, right)).reshape(len(weights), rows, -1)
        run = _up_to(folded.shape[2], kernel.ROW_LANES)
        patches = _padded(folded, (len(weights), rows, run)).reshape(len(weights), -1)
        padded = _padded(patches, (len(weights), _up_to(patches.shape[1], kernel.LANES)))
        number = weights.dtype.type
        alpha, beta = (1.0, 0.0) if shares.split is None else (shares.split.alpha, shares.split.beta)
        return _Weights(
            excites=_lined_up(np.maximum(padded, 0)),
            inhibits=_lined_up(np.minimum(padded, 0)),
            bias=shares.bias.cpu().numpy(),
            split=(number(alpha), number(beta), shares.split is not None),
            epsilon=number(EPSILON),
            n_groups=shares.weights.shape[1] // convolution.in_channels,
            extent=(rows, columns),
            run=run,
        )


_kept: weakref.WeakKeyDictionary[nn.Conv2d, dict[object, _Weights]] = weakref.WeakKeyDictionary()


def _weights(rule: Rule, convolution: nn.Conv2d) -> _Weights:
    """Those of `_Weights.of`, kept for as long as the convolution lives and its weights stay as they are."""
    weight = convolution.weight
    key = (rule, weight.data_ptr(), weight._version, weight.dtype)
    kept = _kept.setdefault(convolution, {})
    if key not in kept:
        kept[key] = _Weights.of(rule, convolution)
    return kept[key]


class _Scratch(threading.local):
    """Room for relevance on its way, kept by every thread: fresh memory costs a fifth of all time."""

    def __init__(self) -> None:
        self._rooms: dict[tuple[int, Any], Array] = {}

    def room(self, turn: int, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array with anything in it, which lasts until the turn after the next."""
        size = math.prod(shape)
        if size * dtype.itemsize > _MOST_KEPT_BYTES:
            return _aligned(size, dtype).reshape(shape)
        at = (turn % 2, dtype)
        if at not in self._rooms or self._rooms[at].size < size:
            self._rooms[at] = _aligned(size, dtype)
        return self._rooms[at][:size].reshape(shape)


def _aligned(size: int, dtype: Any) -> Array:
    """An array that begins with a line of the cache: vectors that straddle two cost twice."""
    raw = np.empty(size * dtype.itemsize + kernel.LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % kernel.LINE_BYTES
    return raw[start : start + size * dtype.itemsize].view(dtype)


_scratch = _Scratch()


@dataclass(frozen=True)
class _Stage:
    """One convolution on the way down, with what this window makes of it."""

    weights: _Weights
    inputs: Array  # (height, width, channels), with padding, folded
    winners: Array  # (rows * columns * n_out,) of the max pooling above, or none
    alive: Array | None  # what left that pooling or the ReLU; the highest stage takes any relevance
    cells: tuple[int, int, int, int]  # rows, columns, n_out, pool
    stride: tuple[int, int]
    padding: tuple[int, int]

    @staticmethod
    def of(step: Step, rule: Rule, above: Step | None, alive: Tensor | None) -> _Stage:
        """A stage below a max pooling, or none, whose outcome was `alive`."""
        module = step.module
        assert isinstance(module, nn.Conv2d)
        inputs, weights = _channels_last(inputs_of(rule, step.entering)), _weights(rule, module)
        padding, stride = _padding(module), (module.stride[0], module.stride[1])
        extent = module.kernel_size
        rows, columns = ((inputs.shape[at] + 2 * padding[at] - extent[at]) // stride[at] + 1 for at in (0, 1))
        n_folded = stride[0] * stride[1] * inputs.shape[2]
        most = _up_to(weights.run, n_folded) // n_folded  # columns that a row of a patch touches
        height = max((rows + weights.extent[0] - 1) * stride[0], padding[0] + inputs.shape[0])
        width = max((columns + most - 1) * stride[1], padding[1] + inputs.shape[1])
        whole = np.zeros((_up_to(height, stride[0]), _up_to(width, stride[1]), inputs.shape[2]), inputs.dtype)
        whole[padding[0] : padding[0] + inputs.shape[0], padding[1] : padding[1] + inputs.shape[1]] = inputs
        pool = 1 if above is None else 2
        return _Stage(
            weights=weights,
            inputs=_folded(whole[None], stride)[0],
            winners=_NO_WINNERS if above is None else _winners(above.entering),
            alive=None if alive is None else _channels_last(alive).ravel(),
            cells=(rows // pool, columns // pool, module.out_channels, pool),
            stride=stride,
            padding=padding,
        )

    def descend(self, relevance: Array, margin: tuple[int, int], turn: int) -> Array:
        """Carry relevance down.

        Parameters
        ----------
        relevance : ndarray, shape (n_maps, height, width, n_out)
        margin : (int, int)
            Rows above and columns to the left of the convolution's output.
        turn : int
            How many stages were above.

        Returns
        -------
        ndarray, shape (n_maps, height, width, n_groups * n_in)
            With the convolution's padding for a margin. It lasts until the turn after the next.
        """
        n_maps = len(relevance)
        rows, columns, _, pool = self.cells
        alive = self.alive
        if alive is None:
            inner = relevance[:, margin[0] : margin[0] + rows, margin[1] : margin[1] + columns]
            alive = np.ascontiguousarray(inner.any(axis=0), dtype=relevance.dtype).ravel()
        out = _scratch.room(turn, (_up_to(n_maps, kernel.MAPS), *self.inputs.shape), relevance.dtype)
        weights = self.weights

        def carry(band: _Band) -> None:
            kernel.carry_down(
                relevance.reshape(-1),
                _unsigned(n_maps, *relevance.shape[1:3], *margin),
                alive,
                self.winners,
                _unsigned(*self.cells),
                self.inputs.reshape(-1),
                _unsigned(*self.inputs.shape),
                _unsigned(weights.extent[0], weights.run),
                weights.excites,
                weights.inhibits,
                weights.bias,
                weights.split,
                weights.epsilon,
                out.reshape(-1),
                _unsigned(*band),
            )

        touched = _up_to(weights.run, out.shape[3]) // out.shape[3] + pool - 1
        for bands in _turns(columns, pool, touched, out.shape[2]):
            _in_parallel(carry, bands)
        return _unfolded(out[:n_maps], self.stride)


def _turns(n_columns: int, pool: int, touched: int, width: int) -> list[list[_Band]]:
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


def _in_parallel(carry: Callable[[_Band], None], bands: Sequence[_Band]) -> None:
    """Carry bands, each thread the next that is left: some have more to share than others."""
    left = iter(bands)

    def work() -> None:
        for band in left:
            carry(band)

    n_threads = min(torch.get_num_threads(), len(bands))
    helping = [_threads(os.getpid(), n_threads - 1).submit(work) for _ in range(n_threads - 1)]
    work()
    for each in helping:
        each.result()


@cache
def _threads(process_id: int, n_threads: int) -> ThreadPoolExecutor:
    """Threads of this process: those of the process that it was forked from did not come along."""
    del process_id
    return ThreadPoolExecutor(n_threads, thread_name_prefix="descent")


@dataclass(frozen=True)
class SparseDescent:
    """The way from the output of one convolution to the input of another below, or of itself."""

    stages: tuple[_Stage, ...]  # the highest first
    size: tuple[int, int]  # height and width of what entered the lowest

    @staticmethod
    def of(steps: Sequence[Step], rules: Sequence[Rule]) -> SparseDescent:
        """Prepare a window's way down; parameters as of `ml.relevance.descent.Descent.of`."""
        stages: list[_Stage] = []
        pooling: Step | None = None
        alive: Tensor | None = None  # what entered the convolution above
        remaining = list(rules)
        for step in reversed(steps):
            if isinstance(step.module, nn.MaxPool2d):
                pooling = step if stages else None
            elif isinstance(step.module, nn.Conv2d):
                stages.append(_Stage.of(step, remaining.pop(), pooling, alive))
                pooling, alive = None, step.entering
        if alive is None:
            raise ValueError("There is no convolution to descend through.")
        return SparseDescent(tuple(stages), (alive.shape[2], alive.shape[3]))

    def descend(self, relevance: Tensor) -> Tensor:
        """Carry relevance down; as `ml.relevance.descent.Descent.descend`."""
        starts = np.ascontiguousarray(relevance.permute(0, 2, 3, 1).numpy())
        lowest = self.stages[-1]
        n_in = lowest.inputs.shape[2] // math.prod(lowest.stride) // lowest.weights.n_groups
        carried = np.empty((len(starts), *self.size, n_in), starts.dtype)
        n_batches = -(-len(starts) // _MOST_MAPS)
        for first, last in pairwise(len(starts) * each // n_batches for each in range(n_batches + 1)):
            carried[first:last] = self._carry(starts[first:last])
        return torch.from_numpy(carried).permute(0, 3, 1, 2)

    def _carry(self, relevance: Array) -> Array:
        margin = (0, 0)
        for turn, stage in enumerate(self.stages):
            relevance, margin = stage.descend(relevance, margin, turn), stage.padding
        height, width = self.size
        inner = relevance[:, margin[0] : margin[0] + height, margin[1] : margin[1] + width]
        n_groups = self.stages[-1].weights.n_groups
        return inner if n_groups == 1 else inner.reshape(*inner.shape[:3], n_groups, -1).sum(axis=3)


def _winners(a: Tensor) -> Array:
    rows, columns = a.shape[2] // 2, a.shape[3] // 2
    winners = np.empty(rows * columns * a.shape[1], dtype=np.uint8)
    kernel.winners_of(_channels_last(a).ravel(), _unsigned(rows, columns, a.shape[1], a.shape[3]), winners)
    return winners


def _channels_last(a: Tensor) -> Array:
    """`(1, channels, height, width)` as an array `(height, width, channels)`."""
    return np.ascontiguousarray(a[0].permute(1, 2, 0).numpy())


def _folded(a: Array, stride: tuple[int, int]) -> Array:
    """`(n, rows, columns, channels)` with every `stride` of cells as channels of one."""
    if stride == (1, 1):
        return a
    n, rows, columns, channels = a.shape
    down, right = stride
    cells = a.reshape(n, rows // down, down, columns // right, right, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(cells).reshape(n, rows // down, columns // right, down * right * channels)


def _unfolded(a: Array, stride: tuple[int, int]) -> Array:
    """The reverse of `_folded`."""
    if stride == (1, 1):
        return a
    n, rows, columns, folded = a.shape
    down, right = stride
    channels = folded // (down * right)
    whole = np.empty((n, rows * down, columns * right, channels), a.dtype)
    for place in range(down * right):
        within = a[..., place * channels : (place + 1) * channels]
        whole[:, place // right :: down, place % right :: right] = within
    return whole


def _lined_up(a: Array) -> Array:
    """A flat copy that begins with a line of the cache."""
    copy = _aligned(a.size, a.dtype)
    copy[:] = a.ravel()
    return copy


def _padded(a: Array, shape: tuple[int, ...]) -> Array:
    """With zeros behind, up to `shape`."""
    return np.pad(a, [(0, wanted - size) for size, wanted in zip(a.shape, shape, strict=True)])


def _padding(convolution: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(convolution.padding, str)
    return convolution.padding[0], convolution.padding[1]


def _up_to(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def _unsigned(*numbers: int) -> tuple[np.uintp, ...]:
    return tuple(np.uintp(number) for number in numbers)
