"""The picture of all effects: each change's and subject's mean difference of the logit with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml.evaluation.counterfactuals.changes import CHANGES
from ml.evaluation.counterfactuals.effects import Studied
from ml.evaluation.figures import COLOURS, MEDIUM, SMALL, blank_figure, png_of

_ROW_INCHES, _FRAME_INCHES, _PANEL_INCHES, _NAMES_INCHES = 0.42, 1.2, 2.9, 1.6
_SPREAD = 0.25  # of a row: keeps subjects apart


def draw_effects(banks: Mapping[str, Sequence[Studied]], title: str) -> bytes:
    """Draw effects, one panel for each bank.

    Parameters
    ----------
    banks : mapping of str to sequence of Studied
        Subjects by bank.
    title : str

    Returns
    -------
    bytes
        PNG. Hollow marks are changes that did not come about.
    """
    width = _NAMES_INCHES + _PANEL_INCHES * len(banks)
    figure = blank_figure(width, _FRAME_INCHES + _ROW_INCHES * len(CHANGES))
    panels = figure.subplots(1, len(banks), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(one.subject.name for studied in banks.values() for one in studied))
    handles = {}
    for axes, (bank, studied) in zip(panels, banks.items(), strict=True):
        for one in studied:
            place = names.index(one.subject.name)
            shift = _SPREAD * (place - (len(names) - 1) / 2.0)
            for row, change in enumerate(CHANGES):
                effect = one.effects[change.name]
                value = effect.logit.value
                handles[one.subject.name] = axes.errorbar(
                    [value],
                    [row + shift],
                    xerr=[[max(value - effect.logit.low, 0.0)], [max(effect.logit.high - value, 0.0)]],
                    fmt="o",
                    markersize=4,
                    markerfacecolor=None if effect.came_about else "white",
                    color=COLOURS[place % len(COLOURS)],
                    capsize=2,
                    elinewidth=1.0,
                )
        axes.axvline(0.0, color="grey", linewidth=0.8)
        for row in range(1, len(CHANGES)):
            if CHANGES[row].about != CHANGES[row - 1].about:
                axes.axhline(row - 0.5, color="grey", linewidth=0.5, linestyle=":")
        axes.set_yticks(range(len(CHANGES)), [change.name for change in CHANGES])
        axes.set_ylim(len(CHANGES) - 0.5, -0.5)
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(bank, fontsize=SMALL)
        axes.set_xlabel("change of the logit (95 % interval)", fontsize=SMALL)
    figure.suptitle(title, fontsize=MEDIUM)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=3,
        fontsize=SMALL,
        frameon=False,
    )
    return png_of(figure)
