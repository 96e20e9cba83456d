"""Windows: a recording of any length as the five-second stretches that networks were trained on.

A window begins every 2.5 s until one reaches the end; the last is padded with silence. Windows are cut from
the spectrogram of the whole recording, on its frame grid (a window begins at most half a hop, 6 ms, beside
its nominal time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.melspec import SILENCE_DB, MelConfig, scaled

WINDOW_S = 5.0
WINDOW_HOP_S = 2.5


@dataclass(frozen=True)
class Window:
    """One stretch: nominal times in seconds, and its frames `first_frame : first_frame + n_frames` of the
    spectrogram.
    """

    start_s: float
    end_s: float
    first_frame: int
    n_frames: int


def cut_windows(duration_s: float, mel: MelConfig) -> tuple[Window, ...]:
    """Windows of a recording.

    Parameters
    ----------
    duration_s : float
        Length of the recording, positive.
    mel : MelConfig

    Returns
    -------
    tuple of Window
        At least one. `end_s` is the end of the sound in it; `n_frames` is that of a full window.
    """
    n_frames = mel.n_frames(round(WINDOW_S * mel.sample_rate_hz))
    n_windows = 1 + max(0, int(np.ceil((duration_s - WINDOW_S) / WINDOW_HOP_S - 1e-9)))
    starts_s = [index * WINDOW_HOP_S for index in range(n_windows)]
    return tuple(
        Window(
            start_s,
            min(start_s + WINDOW_S, duration_s),
            round(start_s * mel.sample_rate_hz / mel.hop_samples),
            n_frames,
        )
        for start_s in starts_s
    )


def window_levels(levels_db: NDArray[np.float32], windows: Sequence[Window]) -> NDArray[np.float32]:
    """Cut windows from a spectrogram.

    Parameters
    ----------
    levels_db : ndarray of float32, shape (n_mels, n_frames)
    windows : sequence of Window
        Of equal length.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_mels, window.n_frames)
        Beyond the recording's end: silence.
    """
    cut = np.full((len(windows), len(levels_db), windows[0].n_frames), SILENCE_DB, dtype=np.float32)
    for index, window in enumerate(windows):
        part = levels_db[:, window.first_frame : window.first_frame + window.n_frames]
        cut[index, :, : part.shape[1]] = part
    return cut


def window_inputs(
    levels: NDArray[np.float32], mel: MelConfig
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What the network sees of windows.

    Parameters
    ----------
    levels : ndarray of float32, shape (n_windows, n_mels, n_frames)
    mel : MelConfig

    Returns
    -------
    inputs : ndarray of float32, same shape
        Scaled to 0..1.
    silent : ndarray of bool, shape (n_windows,)
        Windows in which nothing reaches `mel.quietest_peak_db`; nothing is present there, whatever a network
        says.
    """
    return scaled(levels, mel), levels.max(axis=(1, 2)) < mel.quietest_peak_db


def merge_windows(maps: NDArray[np.float32], windows: Sequence[Window], n_frames: int) -> NDArray[np.float32]:
    """Lay windows' maps back onto the recording; where windows overlap, their mean counts.

    Parameters
    ----------
    maps : ndarray of float32, shape (n_windows, n_mels, window.n_frames)
    windows : sequence of Window
    n_frames : int
        Frames of the recording.

    Returns
    -------
    ndarray of float32, shape (n_mels, n_frames)
        Linear in `maps`, so parts that add up to a map still do so after merging.
    """
    merged = np.zeros((maps.shape[1], n_frames), dtype=np.float32)  # hardly more than two lie on a frame
    coverage = np.zeros(n_frames, dtype=np.float32)
    for window, window_map in zip(windows, maps, strict=True):
        last = min(window.first_frame + window.n_frames, n_frames)
        merged[:, window.first_frame : last] += window_map[:, : last - window.first_frame]
        coverage[window.first_frame : last] += 1
    merged /= np.maximum(coverage, np.float32(1.0))
    return merged
