"""Pictures about explanations: contenders side by side, relevance over stems, deletion and insertion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from ml.evaluation.explanations.curves import KINDS, ORDERS, Bands
from ml.evaluation.explanations.measures import MapFigures
from ml.evaluation.figures import (
    COLOURS,
    DARK_FROM,
    HEAT_COLOURS,
    MEDIUM,
    NO_DATA_COLOUR,
    SMALL,
    blank_figure,
    png_of,
)
from ml.evaluation.intervals import Interval

COMPARED_MEASURES = {
    "skill": "skill over loudness",
    "own_stem": "lies most on its own stem",
    "shapley_correlation": "correlation with Shapley values",
    "deletion_gain": "deletion gain over random",
}
_WORDS = {"relevance": "most relevant first", "random": "at random", "loudest": "loudest first"}
_ROW_INCHES, _CELL_INCHES = 0.2, 0.42
_SHIFT = 0.14  # of a group's dots from the middle of their row


def draw_contenders(
    rows: Mapping[str, Mapping[str, MapFigures]], title: str, bold: str, divided_before: Sequence[str] = ()
) -> bytes:
    """Draw figures of every contender, truth and faithfulness side by side.

    Parameters
    ----------
    rows : mapping of str to mapping of str to MapFigures
        By contender, by group of clips; what is of fewer clips than others says so.
    title : str
    bold : str
        The contender that the report is about.
    divided_before : sequence of str
        Contenders with which another kind of them begins.

    Returns
    -------
    bytes
        PNG.
    """
    names = list(rows)
    groups = list(dict.fromkeys(group for by_group in rows.values() for group in by_group))
    figure = blank_figure(2.4 + 2.1 * len(COMPARED_MEASURES), 1.1 + _ROW_INCHES * len(names))
    panels = np.atleast_1d(figure.subplots(1, len(COMPARED_MEASURES), sharey=True))
    for axes, (field, words) in zip(panels, COMPARED_MEASURES.items(), strict=True):
        for index, group in enumerate(groups):
            places = [place for place, name in enumerate(names) if group in rows[name]]
            intervals: list[Interval] = [getattr(rows[names[place]][group], field) for place in places]
            means, whiskers = _with_whiskers(intervals)
            axes.errorbar(
                means,
                np.array(places) + _SHIFT * (2 * index - len(groups) + 1),
                xerr=whiskers,
                fmt="o",
                markersize=3.5,
                elinewidth=1.0,
                color=COLOURS[index % len(COLOURS)],
                label=group if axes is panels[0] else None,
            )
        axes.axvline(0.0 if field != "deletion_gain" else 1.0, color="grey", linewidth=0.7, linestyle="--")
        for name in divided_before:
            axes.axhline(names.index(name) - 0.5, color="grey", linewidth=0.5)
        axes.set_title(words, fontsize=SMALL)
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(names)), _with_fewer_clips(rows))
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for name, label in zip(names, panels[0].get_yticklabels(), strict=True):
        if name == bold:
            label.set_fontweight("bold")
    figure.suptitle(title, fontsize=MEDIUM)
    if len(groups) > 1:
        figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    return png_of(figure)


def _with_fewer_clips(rows: Mapping[str, Mapping[str, MapFigures]]) -> list[str]:
    """Names of rows, with the number of clips where that is below the others'."""
    counts = {name: max(figures.n_clips for figures in by_group.values()) for name, by_group in rows.items()}
    most = max(counts.values())
    return [name if n == most else f"{name} ({n:,} clips)" for name, n in counts.items()]


def draw_on_stems(shares: NDArray[np.float64], labels: Sequence[str], title: str) -> bytes:
    """Draw on whose stem whose relevance lies.

    Parameters
    ----------
    shares : ndarray of float64, shape (n_labels, n_labels)
        `ml.evaluation.explanations.measures.relevance_on_stems`.
    labels : sequence of str
    title : str

    Returns
    -------
    bytes
        PNG; numbers are per cent, grey for those that never play together.
    """
    figure = blank_figure(3.0 + _CELL_INCHES * len(labels), 2.2 + 0.8 * _CELL_INCHES * len(labels))
    axes = figure.subplots()
    highest = max(0.1, float(np.nanmax(shares, initial=0.0)))
    colours = mpl.colormaps[HEAT_COLOURS].with_extremes(bad=NO_DATA_COLOUR)
    axes.imshow(np.ma.masked_invalid(shares), aspect="auto", cmap=colours, vmin=0.0, vmax=highest)
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            colour = "white" if share > DARK_FROM * highest else "black"
            words = f"{100 * share:.0f}".replace("-0", "0")
            axes.text(column, row, words, ha="center", va="center", fontsize=SMALL, color=colour)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("stem on which relevance lies, signed, % of the map's magnitude", fontsize=SMALL)
    axes.set_ylabel("whose map it is", fontsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    return png_of(figure)


def draw_curves(groups: Mapping[str, Bands], title: str) -> bytes:
    """Draw how the logit changes while patches are deleted, and while they are given back.

    Parameters
    ----------
    groups : mapping of str to Bands
    title : str

    Returns
    -------
    bytes
        PNG; a row of two panels for each group.
    """
    figure = blank_figure(7.6, 0.7 + 2.6 * len(groups))
    panels = figure.subplots(len(groups), len(KINDS), squeeze=False, sharex=True, sharey="row")
    for row, (group, bands) in zip(panels, groups.items(), strict=True):
        percent = 100.0 * np.array(bands.fractions)
        for axes, kind in zip(row, KINDS, strict=True):
            for index, order in enumerate(ORDERS):
                band = bands.bands[kind][order]
                label = _WORDS[order] if axes is panels[0, 0] else None
                axes.plot(percent, band.mean, color=COLOURS[index], linewidth=1.4, label=label)
                axes.fill_between(percent, band.low, band.high, color=COLOURS[index], alpha=0.18, linewidth=0)
            axes.grid(alpha=0.3)
            axes.tick_params(labelsize=SMALL)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_title(f"{kind}, {group} ({bands.n_clips} clips, {bands.n_maps} maps)", fontsize=SMALL)
        row[0].set_ylabel("logit, less that of the whole clip", fontsize=SMALL)
    for axes, verb in zip(panels[-1], ("deleted", "given back"), strict=True):
        axes.set_xlabel(f"active patches {verb}, %", fontsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return png_of(figure)


def _with_whiskers(intervals: Sequence[Interval]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values `(n,)`, and how far their intervals reach below and above, `(2, n)`."""
    means = np.array([interval.value for interval in intervals])
    below = means - np.array([interval.low for interval in intervals])
    above = np.array([interval.high for interval in intervals]) - means
    return means, np.maximum(np.nan_to_num(np.stack([below, above])), 0.0)
