"""What makes maps: every method of relevance, with two kinds of target, and the baselines.

The ceiling stands beside them: the map that tells the truth, which no network is needed for. On real stems,
which overlap, it does not score 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.model import Model
from ml.relevance.baselines import BASELINES
from ml.relevance.engine import explain_targets
from ml.relevance.methods import METHODS, method_named
from ml.relevance.target import Target
from ml.truth.stability import MapMaker

Kind = Literal["method", "baseline", "ceiling"]
LOGIT, CONTRAST = "logit", "against the others"
SOFT, BINARY = "true mask, soft", "true mask, binary"
SLOW = ("integrated-gradients",)  # takes seconds for each map


@dataclass(frozen=True)
class Contender:
    """Something that makes maps.

    Attributes
    ----------
    name : str
        Of a method, a baseline or a ceiling.
    kind : {"method", "baseline", "ceiling"}
    target : str
        `LOGIT`, or `CONTRAST`: against all other labels, weighted by their softmax.
    """

    name: str
    kind: Kind
    target: str = LOGIT

    @property
    def key(self) -> str:
        """Unique among contenders."""
        return self.name if self.target == LOGIT else f"{self.name}, {self.target}"

    @property
    def slow(self) -> bool:
        """Whether it is tried on fewer clips."""
        return self.name in SLOW

    def maker(self) -> MapMaker:
        """What makes its maps.

        Raises
        ------
        ValueError
            For a ceiling, which knows the stems rather than the network.
        """
        if self.kind == "ceiling":
            raise ValueError(f"{self.name} is not made from a model.")
        if self.kind == "baseline":
            return BASELINES[self.name]
        return method_maker(self.name, contrast=self.target == CONTRAST)


def contenders_of(methods: Sequence[str]) -> tuple[Contender, ...]:
    """All that is compared: methods with either target, baselines, ceilings.

    Parameters
    ----------
    methods : sequence of str
        Of `ml.relevance.methods.METHODS`; none for all of them.

    Returns
    -------
    tuple of Contender

    Raises
    ------
    UnknownMethodError
    """
    for name in methods:
        method_named(name)
    chosen = [name for name in METHODS if name in methods or not methods]
    return (
        *(Contender(name, "method", target) for name in chosen for target in (LOGIT, CONTRAST)),
        *(Contender(name, "baseline") for name in BASELINES),
        Contender(SOFT, "ceiling"),
        Contender(BINARY, "ceiling"),
    )


def method_maker(name: str, *, contrast: bool = False) -> MapMaker:
    """A method of relevance as a maker of maps.

    Parameters
    ----------
    name : str
    contrast : bool
        Whether labels are held against all others.
    """
    method = method_named(name)

    def make(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> NDArray[np.floating]:
        targets = [Target(label, against_others=contrast) for label in labels]
        return np.stack([found.maps for found in explain_targets(model, inputs, targets, method=method)])

    return make
