"""Figures of parts of the maps: by how many play at once, by share of energy, by instrument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ml.evaluation.explanations.examining import ScoredClip, ScoredMap
from ml.evaluation.explanations.measures import MapFigures, figures_of, only
from ml.evaluation.markdown import number, table, with_interval

ENERGY_LIMITS = (0.1, 0.3)
ENERGY_NAMES = ("under 10 %", "10 to 30 %", "over 30 %")

Groups = Mapping[str, Sequence[ScoredClip]]
Breakdown = Mapping[str, Mapping[str, MapFigures]]
"""By part, by group of clips; a part that a group lacks is missing."""


def by_number(groups: Groups, seed: int) -> Breakdown:
    """By the number of instruments that play in the clip."""
    return _parts(groups, seed, lambda clip, _: f"{len(clip.stems)} at once")


def by_energy(groups: Groups, seed: int) -> Breakdown:
    """By the share of energy that the instrument owns."""
    parts = _parts(groups, seed, lambda _, scored: energy_name(scored))
    return {name: parts[name] for name in ENERGY_NAMES if name in parts}


def by_instrument(groups: Groups, seed: int) -> Breakdown:
    """By the instrument that is explained."""
    return _parts(groups, seed, lambda _, scored: scored.instrument)


def energy_name(scored: ScoredMap) -> str:
    """Which of `ENERGY_NAMES` a map's share of energy is; a limit counts as above it."""
    share = scored.scores.energy_share
    return ENERGY_NAMES[sum(share >= limit for limit in ENERGY_LIMITS)]


def breakdown_table(heading: str, parts: Breakdown) -> str:
    """A breakdown in Markdown.

    Parameters
    ----------
    heading : str
        What the parts are.
    parts : Breakdown

    Returns
    -------
    str
    """
    several = len({group for by_group in parts.values() for group in by_group}) > 1
    return table(
        (
            heading,
            "maps",
            "found",
            "skill",
            "pointing",
            "own stem",
            "Shapley correlation",
            "deletion gain",
            "in time",
        ),
        [
            (
                f"{part}, {group}" if several else part,
                f"{figures.n_maps:,}",
                number(figures.coverage.value, 2),
                with_interval(figures.skill),
                number(figures.pointing.value, 2),
                number(figures.own_stem.value, 2),
                number(figures.shapley_correlation.value, 2),
                number(figures.deletion_gain.value, 1),
                number(figures.time_overlap.value, 2),
            )
            for part, by_group in parts.items()
            for group, figures in by_group.items()
        ],
    )


def _parts(groups: Groups, seed: int, name_of: Callable[[ScoredClip, ScoredMap], str]) -> Breakdown:
    """Figures of the maps of each name, in the names' order."""
    names = {name_of(clip, scored) for clips in groups.values() for clip in clips for scored in clip.maps}
    parts: dict[str, dict[str, MapFigures]] = {name: {} for name in sorted(names)}
    for name, by_group in parts.items():
        for group, clips in groups.items():
            chosen = [only(clip, [name_of(clip, scored) == name for scored in clip.maps]) for clip in clips]
            if any(clip.maps for clip in chosen):
                by_group[group] = figures_of([clip for clip in chosen if clip.maps], seed)
    return parts
