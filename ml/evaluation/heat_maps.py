"""Heat maps of a report: confusion, what is reported of each subset, and instruments over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ml.evaluation.confusion import Confusion
from ml.evaluation.figures import (
    DARK_FROM,
    HEAT_COLOURS,
    MEDIUM,
    NO_DATA_COLOUR,
    SMALL,
    blank_figure,
    png_of,
)

_CELL_INCHES = 0.42
_ROW_INCHES = 0.26


def draw_confusion(counted: Confusion, labels: Sequence[str], title: str) -> bytes:
    """Draw who is reported although it does not play, by who plays.

    Parameters
    ----------
    counted : Confusion
    labels : sequence of str
        In the order of the counts.
    title : str

    Returns
    -------
    bytes
        PNG. The last row is the share over all clips without the instrument, the last column the share of
        clips in which the instrument of the row is missed; numbers are per cent.
    """
    n_labels = len(labels)
    shares = np.full((n_labels + 1, n_labels + 1), np.nan)
    shares[:-1, :-1] = counted.reported
    shares[-1, :-1] = counted.added
    shares[:-1, -1] = counted.missed
    figure = blank_figure(3.2 + _CELL_INCHES * n_labels, 2.4 + 0.8 * _CELL_INCHES * n_labels)
    axes = figure.subplots()
    highest = max(0.1, float(np.nanmax(shares, initial=0.0)))
    _heat(axes, shares, highest)
    _number_cells(axes, shares, highest)
    axes.axhline(n_labels - 0.5, color="black", linewidth=0.8)
    axes.axvline(n_labels - 0.5, color="black", linewidth=0.8)
    axes.set_yticks(range(n_labels + 1), [*labels, "whoever plays"])
    axes.set_xticks(
        range(n_labels + 1), [*labels, "(missed)"], rotation=40, ha="right", rotation_mode="anchor"
    )
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("is reported although it does not play, % of clips", fontsize=SMALL)
    axes.set_ylabel("while this plays", fontsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    return png_of(figure)


def draw_subsets(
    groups: Mapping[str, tuple[Sequence[str], Sequence[str], NDArray[np.float64]]], title: str
) -> bytes:
    """Draw how often each instrument is reported of each subset of a group, one panel per group.

    Parameters
    ----------
    groups : mapping of str to (subsets, instruments, shares)
        Names of the rows, names of the columns, and shares of clips, ndarray of float64, shape (n_subsets,
        n_instruments).
    title : str

    Returns
    -------
    bytes
        PNG; numbers are per cent.
    """
    heights = [0.9 + _ROW_INCHES * len(subsets) for subsets, _, _ in groups.values()]
    figure = blank_figure(8.4, 0.5 + sum(heights))
    panels = np.atleast_1d(figure.subplots(len(groups), 1, height_ratios=heights))
    for axes, (name, (subsets, instruments, shares)) in zip(panels, groups.items(), strict=True):
        _heat(axes, shares, 1.0)
        _number_cells(axes, shares, 1.0)
        axes.set_yticks(range(len(subsets)), subsets)
        axes.set_xticks(range(len(instruments)), instruments)
        axes.tick_params(labelsize=SMALL)
        axes.set_title(name, fontsize=MEDIUM, loc="left")
    figure.supxlabel("is reported, % of clips", fontsize=SMALL)
    figure.supylabel("what plays", fontsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    return png_of(figure)


def draw_timeline(
    probabilities: NDArray[np.float64], labels: Sequence[str], hop_s: float, window_s: float, title: str
) -> bytes:
    """Draw probabilities of instruments over time.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n_windows, n_labels)
    labels : sequence of str
    hop_s, window_s : float
        From one window to the next, and a window's length. A window is drawn at its middle.
    title : str

    Returns
    -------
    bytes
        PNG.
    """
    n_windows, n_labels = probabilities.shape
    figure = blank_figure(7.5, 1.1 + 0.21 * n_labels)
    axes = figure.subplots()
    first_s = window_s / 2 - hop_s / 2
    extent = (first_s, first_s + n_windows * hop_s, n_labels - 0.5, -0.5)
    image = axes.imshow(
        probabilities.T,
        aspect="auto",
        cmap=HEAT_COLOURS,
        vmin=0.0,
        vmax=1.0,
        extent=extent,
        interpolation="nearest",
    )
    axes.set_yticks(range(n_labels), labels)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel(f"middle of the {window_s:g}-second window (s)", fontsize=SMALL)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015)
    bar.set_label("probability", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    return png_of(figure)


def _heat(axes: Axes, shares: NDArray[np.float64], highest: float) -> None:
    colours = mpl.colormaps[HEAT_COLOURS].with_extremes(bad=NO_DATA_COLOUR)
    axes.imshow(np.ma.masked_invalid(shares), aspect="auto", cmap=colours, vmin=0.0, vmax=highest)


def _number_cells(axes: Axes, shares: NDArray[np.float64], highest: float) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            colour = "white" if share > DARK_FROM * highest else "black"
            axes.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=SMALL, color=colour
            )
