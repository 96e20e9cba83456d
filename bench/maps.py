"""Relevance maps alone: how fast, how many forward passes they cost, how that grows."""

from __future__ import annotations

import torch

from bench.clips import FOUR, TWO, inputs, model
from bench.crp import BEST_CRP, best_crp_maps
from bench.measure import COST, FASTER, Row, Side, interleaved
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target


def maps(names: tuple[str, ...], n_concepts: int) -> Side:
    """Explaining some instruments with so many concepts each, by our engine."""
    targets = [Target(model().card.labels.index(name)) for name in names]
    return lambda: explain_targets(model(), inputs(), targets, n_concepts, engine="direct")


def forward() -> Side:
    """One forward pass of the network over the clip."""
    data = torch.from_numpy(inputs()).unsqueeze(1)

    def run() -> None:
        with torch.inference_mode():
            model().network(data)

    return run


def _engines() -> tuple[Side, Side]:
    return maps(TWO, 5), best_crp_maps(TWO, 5)


def _passes() -> tuple[Side, Side]:
    return maps(TWO, 5), forward()


def _growth() -> tuple[Side, Side]:
    return maps(FOUR, 16), maps(FOUR[:1], 1)


TEN = "2 instruments x 5 concepts, maps"

ROWS = (
    Row(
        "explain",
        TEN,
        f"the same by {BEST_CRP}",
        FASTER,
        ">= 6",
        interleaved(_engines),
        ">= 12",
    ),
    Row("passes", TEN, "one forward pass", COST, "<= 8", interleaved(_passes), "<= 5"),
    Row(
        "growth",
        "4 instruments x 16 concepts",
        "1 instrument x 1 concept",
        COST,
        "<= 12",
        interleaved(_growth),
        "<= 8",
    ),
)
