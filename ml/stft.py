"""The short-time Fourier transform, there and back, in blocks that stay in the processor's cache.

Conventions: those of the log-mel (`ml.melspec`), which begins here. Frame `t` is centred on sample
`t * hop_samples`, with zeros beyond the ends, under a periodic Hann window; samples are float32
`(n_samples,)`, spectra complex64 `(n_frames, n_bins)`, a frame after another. The way back is by weighted
overlap and add (Griffin and Lim, *IEEE TASSP* 32(2), 1984, eq. 6): of all sounds the one whose spectrum is
nearest to the given one. Both are librosa's `stft` and `istft` to rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray

BLOCK_FRAMES = 64  # transformed at once


def frame_blocks(
    samples: NDArray[np.float32], window_samples: int, hop_samples: int, n_frames: int
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Cut sound into overlapping frames, some at a time.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
    window_samples, hop_samples : int
    n_frames : int
        How many; those beyond the end hold zeros.

    Yields
    ------
    slice
        Which frames these are.
    ndarray of float32, shape (n, window_samples)
        A view; not to be written to.
    """
    for first in range(0, n_frames, BLOCK_FRAMES):
        last = min(first + BLOCK_FRAMES, n_frames)
        begin = first * hop_samples - window_samples // 2
        end = begin + (last - 1 - first) * hop_samples + window_samples
        inside = samples[max(begin, 0) : max(end, 0)]
        if len(inside) < end - begin:  # the first block, and those at the end
            before = min(max(-begin, 0), end - begin)
            inside = np.pad(inside, (before, end - begin - before - len(inside)))
        frames = np.lib.stride_tricks.sliding_window_view(inside, window_samples)[::hop_samples]
        yield slice(first, last), frames


def spectrum(
    samples: NDArray[np.float32], window_samples: int, hop_samples: int, n_frames: int
) -> NDArray[np.complex64]:
    """Transform sound.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
    window_samples, hop_samples, n_frames : int
        As for `frame_blocks`.

    Returns
    -------
    ndarray of complex64, shape (n_frames, 1 + window_samples // 2)
    """
    window = hann(window_samples)
    found = np.empty((n_frames, 1 + window_samples // 2), dtype=np.complex64)
    for block, frames in frame_blocks(samples, window_samples, hop_samples, n_frames):
        found[block] = scipy.fft.rfft(frames * window, axis=1)
    return found


def sound_of(
    block_of: Callable[[slice], NDArray[np.complex64]],
    window_samples: int,
    hop_samples: int,
    n_frames: int,
    n_samples: int,
) -> NDArray[np.float32]:
    """Transform a spectrum back.

    Parameters
    ----------
    block_of : callable
        Gives the frames of a slice, complex64 `(n, 1 + window_samples // 2)`; asked for each once, in order.
    window_samples, hop_samples : int
    n_frames : int
        At least as many as reach the last sample wanted.
    n_samples : int
        How many to give back.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
    """
    n_overlaps = -(-window_samples // hop_samples)
    window = np.zeros(n_overlaps * hop_samples, dtype=np.float32)
    window[:window_samples] = hann(window_samples)
    rows = np.zeros((n_frames + n_overlaps - 1, hop_samples), dtype=np.float32)
    for first in range(0, n_frames, BLOCK_FRAMES):
        block = slice(first, min(first + BLOCK_FRAMES, n_frames))
        frames = scipy.fft.irfft(block_of(block), window_samples, axis=1)  # (n, window_samples)
        for overlap in range(n_overlaps):
            part = slice(overlap * hop_samples, min((overlap + 1) * hop_samples, window_samples))
            room = rows[block.start + overlap : block.stop + overlap, : part.stop - part.start]
            room += frames[:, part] * window[part]
    # How much window lay on each sample: less of it on the first, which fewer frames reach.
    weights = np.cumsum(np.square(window).reshape(n_overlaps, hop_samples), axis=0)
    least = np.finfo(np.float32).tiny
    n_rising = min(n_overlaps, len(rows))
    rows[:n_rising] /= np.maximum(weights[:n_rising], least)
    rows[n_rising:] /= np.maximum(weights[-1], least)
    half = window_samples // 2
    return rows.reshape(-1)[half : half + n_samples]


@functools.lru_cache(maxsize=4)
def hann(n_samples: int) -> NDArray[np.float32]:
    """A periodic Hann window, `(n_samples,)`; not to be written to."""
    phase = np.arange(n_samples) / n_samples
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * phase)).astype(np.float32)
