"""The inner loop of the descent on processors: relevance through one convolution, for many maps at once.

A cell of the convolution's output shares its relevance among the patch of inputs that it saw, by the
numerators ``n_jk = x_j w_jk`` of its rule (`ml.relevance.rules`):

    ``R_j = sum_k n_jk c_k(n_jk) R_k``,  ``c_k(n) = alpha / z_k^+`` for ``n > 0``, ``-beta / z_k^-`` for
    ``n < 0``, or one ``1 / z_k`` for both.

Most cells have none to share: ReLU left them at zero, or they lost their max pooling. What others share,
``n_jk c_k``, is the same for all maps, so it is computed once and added to every map in proportion to its
``R_k``. That is a fraction of the work of a dense transposed convolution, with one sum instead of two for
alpha-beta.

All arrays are flat and in C order, channels last, and all indices unsigned: a signed index could be negative,
and numba's check for that keeps loops from being vectorised. Patches and their rows are padded with zeros to
multiples of `LANES` and `ROW_LANES` numbers, else the last few would be computed one by one.
"""

from __future__ import annotations

import numpy as np

from ml.relevance.compiled import compiled

LANES = 32  # numbers in a step of the loops over a patch, as LLVM unrolls them
LINE_BYTES = 64  # of the cache
MAPS = 4  # that are added to at once
ROW_LANES = 16  # and in a step of the loop over a row of it

# Sums may be added up in another order; what is not a number stays so.
_FAST = {"reassoc", "contract", "arcp", "nsz"}
_compiled = compiled(nogil=True, fastmath=_FAST, error_model="numpy")
_NONE, _ONE, _TWO, _THREE, _MAPS = (np.uintp(n) for n in (0, 1, 2, 3, MAPS))


@_compiled
def winners_of(a, shape, winners):  # type: ignore[no-untyped-def]
    """Where 2x2 max pooling takes every value from: 0 and 1 in the upper row, 2 and 3 in the lower.

    The first of equals wins, as in PyTorch. `shape` is `(rows, columns, channels, line)`: those of `winners`,
    and how many cells a line of `a` holds.
    """
    rows, columns, channels, line = shape
    for row in range(rows):
        for column in range(columns):
            cell = (row * columns + column) * channels
            upper = (_TWO * row * line + _TWO * column) * channels
            lower = upper + line * channels
            for channel in range(channels):
                best, place = a[upper + channel], np.uint8(0)
                for other, value in (
                    (1, a[upper + channels + channel]),
                    (2, a[lower + channel]),
                    (3, a[lower + channels + channel]),
                ):
                    if value > best:
                        best, place = value, np.uint8(other)
                winners[cell + channel] = place


@_compiled
def _share(which, n, patch, excites, inhibits, bias, split, epsilon, shares):  # type: ignore[no-untyped-def]
    """``n_jk c_k`` of `n` channels at one cell: `which` of them, two at a time into the rows of `shares`."""
    zero, size = patch.dtype.type(0), np.uintp(patch.size)
    for place in range(_NONE, n, _TWO):
        k, m = which[place], which[min(place + _ONE, n - _ONE)]
        k_plus, k_minus = max(bias[k], zero), min(bias[k], zero)
        m_plus, m_minus = max(bias[m], zero), min(bias[m], zero)
        at_k, at_m = k * size, m * size
        for j in range(size):
            x = patch[j]
            k_plus += excites[at_k + j] * x
            k_minus += inhibits[at_k + j] * x
            m_plus += excites[at_m + j] * x
            m_minus += inhibits[at_m + j] * x
        k_plus, k_minus = _quotients(k_plus, k_minus, split, epsilon)
        m_plus, m_minus = _quotients(m_plus, m_minus, split, epsilon)
        to_k, to_m = place * size, place * size + size
        for j in range(size):
            x = patch[j]
            shares[to_k + j] = x * (k_plus * excites[at_k + j] + k_minus * inhibits[at_k + j])
            shares[to_m + j] = x * (m_plus * excites[at_m + j] + m_minus * inhibits[at_m + j])


@_compiled
def _quotients(z_plus, z_minus, split, epsilon):  # type: ignore[no-untyped-def]
    """``c_k`` for positive and for negative numerators."""
    alpha, beta, is_split = split
    if is_split:
        return alpha / (z_plus + epsilon), -beta / (z_minus - epsilon if z_minus < 0 else z_minus + epsilon)
    z = z_plus + z_minus
    c = alpha / (z - epsilon if z < 0 else z + epsilon)
    return c, c


@_compiled
def _four(numbers, at):  # type: ignore[no-untyped-def]
    """Four numbers that stand beside each other."""
    return numbers[at], numbers[at + _ONE], numbers[at + _TWO], numbers[at + _THREE]


@_compiled
def _add(shares, n, size, relevance, most, out, at, rows, run, line, of_map):  # type: ignore[no-untyped-def]
    """Add shares of `n` channels to four maps, row by row of the patch."""
    for k in range(_NONE, n, _MAPS):
        a0, a1, a2, a3 = _four(relevance, k)
        b0, b1, b2, b3 = _four(relevance, k + most)
        c0, c1, c2, c3 = _four(relevance, k + _TWO * most)
        d0, d1, d2, d3 = _four(relevance, k + _THREE * most)
        for row in range(rows):
            s0 = k * size + row * run
            s1, s2, s3 = s0 + size, s0 + size + size, s0 + size + size + size
            o0 = at + row * line
            o1, o2, o3 = o0 + of_map, o0 + of_map + of_map, o0 + of_map + of_map + of_map
            for j in range(run):
                v0, v1, v2, v3 = shares[s0 + j], shares[s1 + j], shares[s2 + j], shares[s3 + j]
                out[o0 + j] += a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3
                out[o1 + j] += b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3
                out[o2 + j] += c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
                out[o3 + j] += d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3


@_compiled
def _zeros(size, dtype):  # type: ignore[no-untyped-def]
    """Zeros that begin with a line of the cache: vectors that straddle two cost twice."""
    raw = np.zeros(size + np.uintp(LINE_BYTES), dtype)
    skipped = np.uintp((LINE_BYTES - raw.ctypes.data % LINE_BYTES) // raw.itemsize)
    return raw[skipped : skipped + size]


@_compiled
def _clear(out, of_map, line, first, last, left, right):  # type: ignore[no-untyped-def]
    """Set rows of all maps to zero, between two columns."""
    for start in range(_NONE, np.uintp(out.size), of_map):
        for row in range(first, last):
            out[start + row * line + left : start + row * line + right] = 0


@_compiled
def carry_down(  # type: ignore[no-untyped-def]
    relevance,
    grid,
    alive,
    winners,
    cells,
    inputs,
    shape,
    kernel,
    excites,
    inhibits,
    bias,
    split,
    epsilon,
    out,
    band,
):
    """Carry relevance of some columns of a convolution's output to its input.

    Parameters
    ----------
    relevance : ndarray, shape (n_maps * height * width * n_out,)
        Of what left the convolution, or of what left the max pooling above it; with margins, see `grid`.
    grid : (n_maps, height, width, first row, first column)
        Of `relevance`; where in it the output begins. `n_maps` is a multiple of `MAPS`.
    alive : ndarray, shape (rows * columns * n_out,)
        Zero where there is no relevance in any map.
    winners : ndarray of uint8, shape (rows * columns * n_out,)
        As of `winners_of`; empty without a pooling.
    cells : (rows, columns, n_out, pool)
        Of the output; `pool` 2 with a pooling above, else 1.
    inputs : ndarray, shape (height * width * n_in,)
        What entered the convolution, of stride 1, with its padding, and to the right as much more as rows of
        patches are padded.
    shape : (height, width, n_in)
        Of the inputs.
    kernel : (rows, numbers in a row of a patch)
        Rows are padded to a multiple of `ROW_LANES`.
    excites, inhibits : ndarray, shape (n_out * padded patch,)
        The positive and the negative weights, `(n_out, kernel rows, kernel columns * n_in)`; the padding of
        rows and of patches is zero.
    bias : ndarray, shape (n_out,)
    split : (alpha, beta, whether denominators are split)
        alpha is 1 where they are not.
    epsilon : number
        What keeps denominators from vanishing.
    out : ndarray, shape (n_maps * height * width * n_in,)
        Relevance of `inputs`; whatever it held before, it is cleared row by row as it is come to, and so is
        in the cache when it is added to.
    band : (first column, last column + 1, first column of `inputs` to clear, last + 1)
        What this call is to carry; bands that do not touch may be carried at the same time.
    """
    n_maps, height, width, first_row, first_column = grid
    rows, columns, n_out, pool = cells
    kernel_rows, run = kernel
    line, of_map = shape[1] * shape[2], shape[0] * shape[1] * shape[2]
    of_relevance = height * width * n_out
    size, most = np.uintp(excites.size) // n_out, n_out + _MAPS
    dtype = out.dtype
    zero = dtype.type(0)
    shares, patch = _zeros((n_out + _MAPS) * size, dtype), _zeros(size, dtype)
    of_maps = np.zeros(_MAPS * most, dtype)
    which, counts = np.empty(pool * pool * n_out, np.uintp), np.zeros(pool * pool, np.uintp)
    cleared = _NONE
    for row in range(rows):
        reached = (row + _ONE) * pool + kernel_rows - _ONE
        _clear(out, of_map, line, cleared, reached, band[2] * shape[2], band[3] * shape[2])
        cleared = reached
        for column in range(band[0], band[1]):
            cell = (row * columns + column) * n_out
            for place in range(pool * pool):
                counts[place] = _NONE
            for k in range(n_out):
                if alive[cell + k] != zero:
                    won = np.uintp(winners[cell + k]) if pool > _ONE else _NONE
                    which[won * n_out + counts[won]] = k
                    counts[won] += _ONE
            for place in range(pool * pool):
                n = counts[place]
                if n == _NONE:
                    continue
                at = (row * pool + place // pool) * line + (column * pool + place % pool) * shape[2]
                for y in range(kernel_rows):
                    for j in range(run):
                        patch[y * run + j] = inputs[at + y * line + j]
                here = which[place * n_out : place * n_out + n]
                _share(here, n, patch, excites, inhibits, bias, split, epsilon, shares)
                from_cell = ((first_row + row) * width + first_column + column) * n_out
                for m in range(_NONE, n_maps, _MAPS):
                    first = m * of_relevance + from_cell
                    second, third = first + of_relevance, first + _TWO * of_relevance
                    fourth = third + of_relevance
                    for i in range(n):
                        k = here[i]
                        of_maps[i] = relevance[first + k]
                        of_maps[most + i] = relevance[second + k]
                        of_maps[_TWO * most + i] = relevance[third + k]
                        of_maps[_THREE * most + i] = relevance[fourth + k]
                    for i in range(n, n + _THREE):
                        of_maps[i] = of_maps[most + i] = zero
                        of_maps[_TWO * most + i] = of_maps[_THREE * most + i] = zero
                    to = m * of_map + at
                    _add(shares, n, size, of_maps, most, out, to, kernel_rows, run, line, of_map)
    _clear(out, of_map, line, cleared, shape[0], band[2] * shape[2], band[3] * shape[2])
