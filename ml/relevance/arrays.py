"""Arrays as the kernel of the descent takes them: folded by a stride, padded, in line with the cache.

Arrays are `(n, rows, columns, channels)`. A convolution with a stride is one of stride 1 over inputs that are
folded: what lies within a stride becomes channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.relevance.kernel import LINE_BYTES

Array = NDArray[Any]


def folded(a: Array, stride: tuple[int, int]) -> Array:
    """`(n, rows, columns, channels)` with every `stride` of cells as channels of one."""
    if stride == (1, 1):
        return a
    n, rows, columns, channels = a.shape
    down, right = stride
    cells = a.reshape(n, rows // down, down, columns // right, right, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(cells).reshape(n, rows // down, columns // right, down * right * channels)


def unfolded(a: Array, stride: tuple[int, int], margin: tuple[int, int], size: tuple[int, int]) -> Array:
    """The reverse of `folded`: a copy of `size` rows and columns from `margin` on."""
    height, width = size
    down, right = stride
    channels = a.shape[3] // (down * right)
    whole = np.empty((len(a), height, width, channels), a.dtype)
    for place in range(down * right):
        first_row, first_column = (place // right - margin[0]) % down, (place % right - margin[1]) % right
        part = whole[:, first_row::down, first_column::right]
        row, column = (margin[0] + first_row) // down, (margin[1] + first_column) // right
        within = a[..., place * channels : (place + 1) * channels]
        part[...] = within[:, row : row + part.shape[1], column : column + part.shape[2]]
    return whole


def padded(a: Array, shape: tuple[int, ...]) -> Array:
    """With zeros behind, up to `shape`."""
    return np.pad(a, [(0, wanted - size) for size, wanted in zip(a.shape, shape, strict=True)])


def lined_up(a: Array) -> Array:
    """A flat copy that begins with a line of the cache."""
    copy = aligned(a.size, a.dtype)
    copy[:] = a.ravel()
    return copy


def aligned(size: int, dtype: Any) -> Array:
    """An array that begins with a line of the cache: vectors that straddle two cost twice."""
    raw = np.empty(size * dtype.itemsize + LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % LINE_BYTES
    return raw[start : start + size * dtype.itemsize].view(dtype)


def up_to(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
