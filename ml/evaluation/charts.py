"""Charts of a report: bars with intervals, F1 against the number of instruments, reliability.

Every chart takes named series, so that one set of clips can be seen beside another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import NullFormatter

from ml.evaluation.calibration import ReliabilityBin
from ml.evaluation.figures import COLOURS, MEDIUM, SMALL, blank_figure, png_of
from ml.evaluation.intervals import Interval

_BAR_ROW_INCHES, _SERIES_INCHES, _FRAME_INCHES = 0.12, 0.17, 1.1
_SERIES_SHIFT = 0.07  # of one number of instruments: keeps intervals apart


def draw_bars(series: Mapping[str, Mapping[str, Interval]], measure: str, title: str) -> bytes:
    """Draw one bar with its interval per name and series, from the top in the order given.

    Parameters
    ----------
    series : mapping of str to mapping of str to Interval
        By series, by name; a series may lack names.
    measure : str
        What the bars measure, in 0..1.
    title : str

    Returns
    -------
    bytes
        PNG.
    """
    names = list(dict.fromkeys(name for values in series.values() for name in values))
    n_slots = max(sum(name in values for values in series.values()) for name in names)
    row_inches = _BAR_ROW_INCHES + _SERIES_INCHES * n_slots
    figure = blank_figure(7.0, _FRAME_INCHES + row_inches * len(names))
    axes = figure.subplots()
    thickness = 0.8 / (len(series) if n_slots > 1 else 1)
    for index, (name, values) in enumerate(series.items()):
        slot = index if n_slots > 1 else 0  # series that share no name need no room for one another
        places = np.array([names.index(key) for key in values]) - 0.4 + thickness * (slot + 0.5)
        means = np.array([interval.value for interval in values.values()])
        below = means - np.array([interval.low for interval in values.values()])
        above = np.array([interval.high for interval in values.values()]) - means
        axes.barh(places, means, thickness * 0.9, color=COLOURS[index % len(COLOURS)], label=name)
        whiskers = np.maximum(np.nan_to_num(np.stack([below, above])), 0.0)
        axes.errorbar(means, places, xerr=whiskers, fmt="none", ecolor="black", elinewidth=0.9, capsize=2)
        for place, mean, whisker in zip(places, means, whiskers[1], strict=True):
            if not np.isnan(mean):
                axes.text(mean + whisker + 0.008, place, f"{mean:.3f}", va="center", fontsize=SMALL)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0.0, 1.1)  # room for the numbers beyond 1
    axes.set_xticks(np.linspace(0.0, 1.0, 6))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel(f"{measure} (95 % interval)", fontsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return png_of(figure)


def draw_by_number(series: Mapping[str, Mapping[int, Interval]], title: str) -> bytes:
    """Draw macro-F1 with its interval against the number of instruments that play at once.

    Parameters
    ----------
    series : mapping of str to mapping of int to Interval
    title : str

    Returns
    -------
    bytes
        PNG.
    """
    figure = blank_figure(5.5, 3.6)
    axes = figure.subplots()
    lowest = 1.0
    for index, (name, values) in enumerate(series.items()):
        numbers = np.array(list(values)) + _SERIES_SHIFT * (index - (len(series) - 1) / 2)
        means = np.array([interval.value for interval in values.values()])
        low = np.array([interval.low for interval in values.values()])
        high = np.array([interval.high for interval in values.values()])
        lowest = min(lowest, float(np.nanmin(low, initial=1.0)))
        whiskers = np.maximum(np.stack([means - low, high - means]), 0.0)
        colour = COLOURS[index % len(COLOURS)]
        axes.errorbar(numbers, means, yerr=whiskers, fmt="o-", color=colour, capsize=3, label=name)
    ticks = sorted({number for values in series.values() for number in values})
    axes.set_xticks(ticks)
    axes.set_xlim(min(ticks) - 0.5, max(ticks) + 0.5)
    axes.set_ylim(max(0.0, np.floor(10.0 * lowest - 0.5) / 10.0), 1.01)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("instruments that play at once", fontsize=SMALL)
    axes.set_ylabel("macro-F1 (95 % interval)", fontsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    return png_of(figure)


def draw_reliability(series: Mapping[str, Sequence[ReliabilityBin]], title: str) -> bytes:
    """Draw how often an instrument plays against the probability it is given, and how often that is given.

    Parameters
    ----------
    series : mapping of str to sequence of ReliabilityBin
    title : str

    Returns
    -------
    bytes
        PNG.
    """
    figure = blank_figure(5.0, 5.4)
    upper, lower = figure.subplots(2, 1, height_ratios=(3.2, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--", label="as it should be")
    for index, (name, bins) in enumerate(series.items()):
        given = np.array([point.mean_probability for point in bins])
        share = np.array([point.share for point in bins])
        low, high = np.array([point.low for point in bins]), np.array([point.high for point in bins])
        colour = COLOURS[index % len(COLOURS)]
        whiskers = np.maximum(np.stack([share - low, high - share]), 0.0)
        upper.errorbar(given, share, yerr=whiskers, fmt="o-", color=colour, capsize=2, label=name)
        counts = [point.n for point in bins]
        lower.plot(given, counts, "o-", color=colour, markersize=3)
    upper.set_ylim(-0.03, 1.03)
    upper.set_xlim(-0.03, 1.03)
    upper.set_ylabel("share in which the instrument plays", fontsize=SMALL)
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.8)
    lower.yaxis.set_minor_formatter(NullFormatter())
    lower.set_ylabel("how often", fontsize=SMALL)
    lower.set_xlabel("probability that the model gives", fontsize=SMALL)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    upper.legend(fontsize=SMALL, frameon=False, loc="upper left")
    figure.suptitle(title, fontsize=MEDIUM)
    return png_of(figure)
