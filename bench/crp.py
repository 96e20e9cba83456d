"""The same maps by zennit-crp's own calls: as many conditions in each as are quickest.

A call of `CondAttribution` with n conditions repeats the input n times and carries every copy forward and
back. The maps are the same; how many conditions pay depends on the machine, so that is tried out before
anything is held against them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np
import torch
from crp.attribution import CondAttribution
from numpy.typing import NDArray
from torch import Tensor

from bench.clips import inputs, model
from bench.measure import Side, timed_ms
from ml.relevance.engine import explain_targets
from ml.relevance.evidence import strongest_channels
from ml.relevance.methods import method_named
from ml.relevance.target import Target
from ml.relevance.zennit_engine import make_composite

CONDITIONS_A_CALL = (1, 2, 3, 6)
BEST_CRP = f"zennit-crp, best of {', '.join(map(str, CONDITIONS_A_CALL))} conditions a call"
N_TRIALS = 3  # of each, before the row is measured
EQUAL = 1e-4  # of the largest cell: single precision, sums in other orders


def best_crp_maps(
    names: tuple[str, ...], n_concepts: int, conditions: tuple[int, ...] = CONDITIONS_A_CALL
) -> Side:
    """The quickest way of explaining some instruments with so many concepts each.

    Raises
    ------
    RuntimeError
        When a way does not give the maps of the direct engine.
    """
    sides: dict[int, Side] = {}
    for n_conditions in conditions:
        check_equal(names, n_concepts, n_conditions)  # warms up, too
        sides[n_conditions] = _side(names, n_concepts, n_conditions)
    return sides[quickest(sides)]


def quickest(sides: Mapping[int, Side], n_trials: int = N_TRIALS) -> int:
    """Which of several sides takes least time, by their medians over turns."""
    taken_ms: dict[int, list[float]] = {key: [] for key in sides}
    for _ in range(n_trials):
        for key, side in sides.items():
            taken_ms[key].append(timed_ms(side))
    return min(taken_ms, key=lambda key: statistics.median(taken_ms[key]))


def crp_maps(names: tuple[str, ...], n_concepts: int, n_conditions: int) -> list[NDArray[np.floating]]:
    """Maps of some instruments by `n_conditions` conditions a call, on the shipped model as it is.

    Returns
    -------
    list of ndarray, each of shape (n_concepts + 2, n_mels, n_frames)
        One for each instrument: the whole, its strongest concepts, and all others together.
    """
    network, layer = model().network, model().concept_layer
    data = torch.from_numpy(inputs()).unsqueeze(1)
    attribute, composite = CondAttribution(network), make_composite(network, method_named())
    found = []
    for name in names:
        target = Target(model().card.labels.index(name))

        def start(logits: Tensor, target: Target = target) -> Tensor:
            return torch.from_numpy(target.start(logits.detach().numpy())).to(logits)

        whole = attribute(
            data.clone().requires_grad_(True), [{}], composite, record_layer=[layer], init_rel=start
        )
        by_channel = whole.relevances[layer].sum(dim=(2, 3)).numpy()
        strongest = strongest_channels(by_channel, n_concepts)
        others = [channel for channel in range(by_channel.shape[1]) if channel not in strongest]
        groups = [*([channel] for channel in strongest), others]
        heatmaps = [whole.heatmap.numpy()]
        for first in range(0, len(groups), n_conditions):
            conditions = [{layer: group} for group in groups[first : first + n_conditions]]
            repeated = data.repeat(len(conditions), 1, 1, 1).requires_grad_(True)
            heatmaps.append(attribute(repeated, conditions, composite, init_rel=start).heatmap.numpy())
        found.append(np.concatenate(heatmaps))
    return found


def check_equal(names: tuple[str, ...], n_concepts: int, n_conditions: int) -> None:
    """What is compared for time is the same: maps that many conditions a call give are the direct engine's.

    Raises
    ------
    RuntimeError
        When they are not.
    """
    targets = [Target(model().card.labels.index(name)) for name in names]
    direct = explain_targets(model(), inputs(), targets, n_concepts, engine="direct")
    by_crp = crp_maps(names, n_concepts, n_conditions)
    for name, ours, theirs in zip(names, direct, by_crp, strict=True):
        maps = np.concatenate([ours.maps, ours.concept_maps[:, 0]])
        apart = float(np.abs(maps - theirs).max() / np.abs(maps).max())
        if not apart <= EQUAL:  # NaN is apart, too
            raise RuntimeError(
                f"{name}: maps of zennit-crp with {n_conditions} conditions a call are {apart:.1e} of the "
                f"largest cell from the direct engine's, more than {EQUAL:.0e}."
            )


def _side(names: tuple[str, ...], n_concepts: int, n_conditions: int) -> Side:
    return lambda: crp_maps(names, n_concepts, n_conditions)
