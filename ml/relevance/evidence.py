"""What an engine gives back: one target's relevance in every window, whole and by concepts.

Arrays are `(n_windows, n_mels, n_frames)` for maps, `(n_windows, n_channels)` for channels; float32, or
float64 where the network is in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEAD = "head"  # name of every network's last linear layer

OnMap = Callable[[int], None]  # (maps just finished); may raise to cancel


@dataclass(frozen=True)
class Evidence:
    """Relevance of one target in each window.

    Attributes
    ----------
    logits : ndarray, shape (n_windows,)
        What relevance started from: the target's value, a label's logit or a difference of logits.
    channels : ndarray, shape (n_windows, n_channels)
        Signed relevance of every channel of the concept layer, summed over positions.
    maps : ndarray, shape (n_windows, n_mels, n_frames)
        Signed relevance of every cell of the log-mel.
    strongest : tuple of int
        The channels whose mean relevance over the windows is largest in magnitude, strongest first.
    concept_maps : ndarray, shape (len(strongest) + 1, n_windows, n_mels, n_frames)
        The part of `maps` that passes through each of them, and last through all others.
    """

    logits: NDArray[np.floating]
    channels: NDArray[np.floating]
    maps: NDArray[np.floating]
    strongest: tuple[int, ...]
    concept_maps: NDArray[np.floating]


def strongest_channels(channels: NDArray[np.floating], n_concepts: int) -> tuple[int, ...]:
    """Channels by falling magnitude of their mean relevance over windows.

    Parameters
    ----------
    channels : ndarray, shape (n_windows, n_channels)
    n_concepts : int
        At most this many.
    """
    order = np.argsort(-np.abs(channels.mean(axis=0)), kind="stable")
    return tuple(int(channel) for channel in order[:n_concepts])
