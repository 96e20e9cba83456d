"""Descent on processors: what shares no relevance costs nothing (`ml.relevance.kernel`).

The way from one convolution's output to another's input, as in `ml.relevance.descent`, but cell by cell: what
a cell of a window shares is worked out once for all maps and spread over each, and cells that ReLU silenced
or that lost their max pooling are left out. Relevance is `(maps, height, width, channels)` on the way, with
the margins that the next convolution's padding asks for. With another number of threads sums are added up in
another order at the edges of bands: maps are then equal to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ml.relevance import kernel
from ml.relevance.arrays import Array, folded, unfolded, up_to
from ml.relevance.bands import Band, Scratch, in_parallel, turns_of
from ml.relevance.kernel_weights import KernelWeights, kernel_weights
from ml.relevance.methods import Rule
from ml.relevance.rules import inputs_of
from ml.relevance.trace import Step

_MOST_MAPS = 32  # at once: more hardly gain, as what a cell shares is worked out once for so many
_MOST_BYTES = 2**25  # of the relevance of so many maps between two convolutions
_NO_WINNERS = np.zeros(0, dtype=np.uint8)

_scratch = Scratch()


@dataclass(frozen=True)
class _Stage:
    """One convolution on the way down, with what this window makes of it."""

    weights: KernelWeights
    inputs: Array  # (height, width, channels), with padding, folded
    winners: Array  # (rows * columns * n_out,) of the max pooling above, or none
    alive: Array | None  # what left that pooling or the ReLU; the highest stage takes any relevance
    cells: tuple[int, int, int, int]  # rows, columns, n_out, pool
    stride: tuple[int, int]
    padding: tuple[int, int]
    size: tuple[int, int]  # rows and columns of the inputs as they came

    @staticmethod
    def of(step: Step, rule: Rule, above: Step | None, alive: Tensor | None) -> _Stage:
        """A stage below a max pooling, or none, whose outcome was `alive`."""
        module = step.module
        assert isinstance(module, nn.Conv2d)
        inputs, weights = _channels_last(inputs_of(rule, step.entering)), kernel_weights(rule, module)
        padding, stride = _padding(module), (module.stride[0], module.stride[1])
        extent = module.kernel_size
        rows, columns = ((inputs.shape[at] + 2 * padding[at] - extent[at]) // stride[at] + 1 for at in (0, 1))
        n_folded = stride[0] * stride[1] * inputs.shape[2]
        most = up_to(weights.run, n_folded) // n_folded  # columns that a row of a patch touches
        height = max((rows + weights.extent[0] - 1) * stride[0], padding[0] + inputs.shape[0])
        width = max((columns + most - 1) * stride[1], padding[1] + inputs.shape[1])
        whole = np.zeros((up_to(height, stride[0]), up_to(width, stride[1]), inputs.shape[2]), inputs.dtype)
        whole[padding[0] : padding[0] + inputs.shape[0], padding[1] : padding[1] + inputs.shape[1]] = inputs
        pool = 1 if above is None else 2
        return _Stage(
            weights=weights,
            inputs=folded(whole[None], stride)[0],
            winners=_NO_WINNERS if above is None else _winners(above.entering),
            alive=None if alive is None else _channels_last(alive).ravel(),
            cells=(rows // pool, columns // pool, module.out_channels, pool),
            stride=stride,
            padding=padding,
            size=(inputs.shape[0], inputs.shape[1]),
        )

    def descend(self, relevance: Array, margin: tuple[int, int], turn: int) -> Array:
        """Carry relevance down.

        Parameters
        ----------
        relevance : ndarray, shape (n_maps, height, width, n_out)
            `n_maps` a multiple of `kernel.MAPS`.
        margin : (int, int)
            Rows above and columns to the left of the convolution's output.
        turn : int
            How many stages were above.

        Returns
        -------
        ndarray, shape (n_maps, height, width, n_groups * n_in)
            Of `inputs`, padded and folded as they are. It lasts until the turn after the next.
        """
        n_maps = len(relevance)
        rows, columns, _, pool = self.cells
        alive = self.alive
        if alive is None:
            inner = relevance[:, margin[0] : margin[0] + rows, margin[1] : margin[1] + columns]
            alive = np.ascontiguousarray(inner.any(axis=0), dtype=relevance.dtype).ravel()
        out = _scratch.room(turn, (n_maps, *self.inputs.shape), relevance.dtype)
        weights = self.weights

        def carry(band: Band) -> None:
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

        touched = up_to(weights.run, out.shape[3]) // out.shape[3] + pool - 1
        for bands in turns_of(columns, pool, touched, out.shape[2]):
            in_parallel(carry, bands)
        return out


@dataclass(frozen=True)
class SparseDescent:
    """The way from the output of one convolution to the input of another below, or of itself."""

    stages: tuple[_Stage, ...]  # the highest first

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
        return SparseDescent(tuple(stages))

    @property
    def most_maps(self) -> int:
        """How many maps to carry down at once: bounds memory."""
        of_map = max(stage.inputs.nbytes for stage in self.stages)
        return max(1, min(_MOST_MAPS, _MOST_BYTES // of_map))

    def descend(self, relevance: Tensor) -> Tensor:
        """Carry relevance down; as `ml.relevance.descent.Descent.descend`, `most_maps` at once."""
        starts = relevance.permute(0, 2, 3, 1).numpy()
        parts = [
            self._carry(starts[first : first + self.most_maps])
            for first in range(0, len(starts), self.most_maps)
        ]
        carried = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return torch.from_numpy(carried).permute(0, 3, 1, 2)

    def _carry(self, starts: Array) -> Array:
        n_maps = len(starts)
        relevance = np.zeros((up_to(n_maps, kernel.MAPS), *starts.shape[1:]), starts.dtype)
        relevance[:n_maps] = starts
        margin = (0, 0)
        *higher, lowest = self.stages
        for turn, stage in enumerate(higher):
            relevance, margin = stage.descend(relevance, margin, turn), stage.padding
            if stage.stride != (1, 1):
                relevance, margin = unfolded(relevance, stage.stride, margin, stage.size), (0, 0)
        relevance = lowest.descend(relevance, margin, len(higher))
        inner = unfolded(relevance[:n_maps], lowest.stride, lowest.padding, lowest.size)
        n_groups = lowest.weights.n_groups
        return inner if n_groups == 1 else inner.reshape(*inner.shape[:3], n_groups, -1).sum(axis=3)


def _winners(a: Tensor) -> Array:
    rows, columns = a.shape[2] // 2, a.shape[3] // 2
    winners = np.empty(rows * columns * a.shape[1], dtype=np.uint8)
    kernel.winners_of(_channels_last(a).ravel(), _unsigned(rows, columns, a.shape[1], a.shape[3]), winners)
    return winners


def _channels_last(a: Tensor) -> Array:
    """`(1, channels, height, width)` as an array `(height, width, channels)`."""
    return np.ascontiguousarray(a[0].permute(1, 2, 0).numpy())


def _padding(convolution: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(convolution.padding, str)
    return convolution.padding[0], convolution.padding[1]


def _unsigned(*numbers: int) -> tuple[np.uintp, ...]:
    return tuple(np.uintp(number) for number in numbers)
