"""Relevance maximisation: of every channel the clips, and the positions in them, that most use it.

What is maximised stands in `ml.concepts`. A clip is reduced to its peaks at once, so that nothing of the size
of a layer is kept, and the search over clips is a sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Peaks:
    """Where a clip most uses each channel of a layer.

    Attributes
    ----------
    relevance : ndarray of float64, shape (n_channels,)
        Largest relevance over positions, summed over targets.
    row, column : ndarray of int64, shape (n_channels,)
        That position; the first one where several are equal.
    by_target : ndarray of float64, shape (n_targets, n_channels)
        Each target's part of it.
    is_used : ndarray of bool, shape (n_channels,)
        Whether there is any relevance, of either sign, at any position.
    """

    relevance: NDArray[np.float64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    by_target: NDArray[np.float64]
    is_used: NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """A clip and the position in it at which a channel was found; `parts` of its relevance by target."""

    clip: int
    row: int
    column: int
    relevance: float
    parts: tuple[float, ...]

    @property
    def target(self) -> int:
        """The target with the largest part."""
        return int(np.argmax(self.parts))


def peaks_of(relevance: NDArray[np.floating]) -> Peaks:
    """Reduce a clip's relevance at a layer to its peaks.

    Parameters
    ----------
    relevance : ndarray, shape (n_targets, n_channels, height, width)
        In the explanation of each instrument that plays.

    Returns
    -------
    Peaks
    """
    _, n_channels, _, width = relevance.shape
    parts = relevance.astype(np.float64).reshape(len(relevance), n_channels, -1)
    together = parts.sum(axis=0)  # (n_channels, n_positions)
    best = together.argmax(axis=1)
    channels = np.arange(n_channels)
    return Peaks(
        relevance=together[channels, best],
        row=best // width,
        column=best % width,
        by_target=parts[:, channels, best],
        is_used=np.asarray(parts.any(axis=(0, 2))),
    )


def strongest(peaks: Sequence[Peaks], channel: int, n_found: int) -> tuple[Found, ...]:
    """The clips that most use a channel.

    Parameters
    ----------
    peaks : sequence of Peaks
        One for each clip.
    channel : int
    n_found : int
        At most so many.

    Returns
    -------
    tuple of Found
        By falling relevance, the earlier clip first where it is equal; none without positive relevance.
    """
    relevance = np.array([each.relevance[channel] for each in peaks])
    order = np.argsort(-relevance, kind="stable")[:n_found]
    return tuple(
        Found(
            clip=int(clip),
            row=int(peaks[clip].row[channel]),
            column=int(peaks[clip].column[channel]),
            relevance=float(relevance[clip]),
            parts=tuple(peaks[clip].by_target[:, channel].tolist()),
        )
        for clip in order
        if relevance[clip] > 0.0
    )
