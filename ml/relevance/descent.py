"""Descent: relevance through a chain of convolutions, for many maps at once.

Relevance is linear in where it starts, and all that depends on the window is constant: what is left per map
is, at each convolution, one product with constants and one transposed convolution (`ml.relevance.rules`).
The constants of a convolution take in what lies between it and the one above, the winners of a max pooling
and the factor ``a``, so un-pooling and multiplying by the activation cost nothing extra. What travels is
therefore the *message* ``sum_t sum_k W_tjk c_tk R_k``, relevance not yet multiplied by its factor.

Tensors are `(maps, channels, height, width)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.relevance.above import unpooled
from ml.relevance.methods import Rule
from ml.relevance.rules import Terms, terms_of
from ml.relevance.trace import Step

_MOST_MAPS = 32  # at once
_MOST_BYTES = 2**28  # of the messages of so many maps below one convolution


@dataclass(frozen=True)
class _Stage:
    """One convolution on the way down, with the constants that this window gives it.

    They are stored as `(rows, pool, columns, pool, n_terms, n_out)`, with `pool` 2 below a max pooling and
    else 1: so a message from above, `(maps, rows, 1, columns, 1, 1, n_out)`, is un-pooled, multiplied and
    stacked in one pass over memory, channels last as convolutions like it.
    """

    weights: Tensor  # (n_terms * n_out, n_groups * n_in, kernel_height, kernel_width)
    constants: Tensor
    height: int  # of the convolution's output; pooling may have dropped an odd last row or column
    width: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    output_padding: tuple[int, int]

    @staticmethod
    def of(convolution: nn.Conv2d, a: Tensor, terms: Terms, gate: Tensor | None, pool: int) -> _Stage:
        """A stage below `gate`, what message becomes relevance by: `(1, n_out, height, width)`."""
        constants = terms.quotients if gate is None else terms.quotients * gate
        n_terms, n_out, height, width = constants.shape
        rows, columns = height // pool, width // pool
        cut = constants[:, :, : rows * pool, : columns * pool].permute(2, 3, 0, 1)
        stride = (convolution.stride[0], convolution.stride[1])
        padding = (int(convolution.padding[0]), int(convolution.padding[1]))
        kernel = convolution.kernel_size
        return _Stage(
            weights=terms.weights.contiguous(memory_format=torch.channels_last),
            constants=cut.reshape(rows, pool, columns, pool, n_terms, n_out).contiguous(),
            height=height,
            width=width,
            stride=stride,
            padding=padding,
            output_padding=(
                (a.shape[2] + 2 * padding[0] - kernel[0]) % stride[0],
                (a.shape[3] + 2 * padding[1] - kernel[1]) % stride[1],
            ),
        )

    def descend(self, message: Tensor) -> Tensor:
        """Carry a message one convolution down."""
        rows, pool, columns, _, n_terms, n_out = self.constants.shape
        new = torch.empty if (rows * pool, columns * pool) == (self.height, self.width) else torch.zeros
        stacked = new(
            (len(message), self.height, self.width, n_terms * n_out),
            dtype=message.dtype,
            device=message.device,
        )
        pooled = stacked[:, : rows * pool, : columns * pool]
        torch.mul(
            message.permute(0, 2, 3, 1)[:, :, None, :, None, None, :],
            self.constants,
            out=pooled.view(len(message), rows, pool, columns, pool, n_terms, n_out),
        )
        return functional.conv_transpose2d(
            stacked.permute(0, 3, 1, 2), self.weights, None, self.stride, self.padding, self.output_padding
        )


@dataclass(frozen=True)
class Descent:
    """The way from the output of one convolution to the input of another below, or of itself."""

    stages: tuple[_Stage, ...]  # the highest first
    factors: Tensor  # (n_groups, n_in, height, width): what the last message becomes relevance by

    @staticmethod
    def of(steps: Sequence[Step], rules: Sequence[Rule]) -> Descent:
        """Prepare a window's way down.

        Parameters
        ----------
        steps : sequence of Step
            From a convolution up to a convolution, with max poolings and what passes relevance on between.
        rules : sequence of Rule
            One for each convolution, the lowest first. Those of all but the lowest share relevance by
            their input.

        Returns
        -------
        Descent
        """
        stages: list[_Stage] = []
        gate: Tensor | None = None  # factor of the convolution above, brought to this one's output
        pool = 1
        remaining = list(rules)
        for step in reversed(steps):
            a, module = step.entering, step.module
            if isinstance(module, nn.MaxPool2d) and gate is not None:
                gate, pool = unpooled(gate, a), 2
            elif isinstance(module, nn.Conv2d):
                terms = terms_of(remaining.pop(), module, a)
                stages.append(_Stage.of(module, a, terms, gate, pool))
                gate, pool = terms.factors, 1
        if gate is None:
            raise ValueError("There is no convolution to descend through.")
        return Descent(tuple(stages), gate)

    @property
    def most_maps(self) -> int:
        """How many maps to carry down at once: bounds memory."""
        of_map = max(stage.constants.nbytes for stage in self.stages)
        return max(1, min(_MOST_MAPS, _MOST_BYTES // of_map))

    def descend(self, relevance: Tensor) -> Tensor:
        """Carry relevance down.

        Parameters
        ----------
        relevance : Tensor, shape (maps, n_out, height, width)
            Of the highest convolution's output.

        Returns
        -------
        Tensor, shape (maps, n_in, height, width)
            Of the lowest convolution's input.
        """
        message = relevance.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            message = stage.descend(message)
        n_groups = len(self.factors)
        if n_groups == 1:
            return self.factors * message
        by_group = message.reshape(len(message), n_groups, -1, *message.shape[2:])
        return (by_group * self.factors).sum(dim=1)
