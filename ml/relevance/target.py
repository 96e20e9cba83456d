"""Targets: at which logits relevance starts, and so which question a map answers.

* why this label: relevance starts at its logit, ``z_c``;
* why this label rather than that one: at the difference ``z_c - z_d``;
* why this label rather than any other: at ``z_c - sum_i p_i z_i``, where ``p`` is the softmax over all other
  labels' logits. So the label that competes most counts most, and many that are out of the question do not
  water it down (after Gu et al., *Understanding individual decisions of CNNs via contrastive
  backpropagation*, ACCV 2018, whose weights are equal). The weights are held, as if they were constants.

Relevance is linear in where it starts: the map of a difference is the difference of maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Target:
    """What is to be explained.

    Attributes
    ----------
    label : int
        Index of the label that relevance speaks for.
    against : int, optional
        The label that it is held against.
    against_others : bool
        Whether it is held against all others, weighted by their softmax.
    """

    label: int
    against: int | None = None
    against_others: bool = False

    def __post_init__(self) -> None:
        if self.against is not None and self.against_others:
            raise ValueError(f"Label {self.label} is held against {self.against} or all others, not both.")
        if self.against == self.label:
            raise ValueError(f"Label {self.label} cannot be held against itself.")

    def start(self, logits: NDArray[np.floating]) -> NDArray[np.floating]:
        """Relevance of the logits, from which a map is made.

        Parameters
        ----------
        logits : ndarray, shape (n, n_labels)

        Returns
        -------
        ndarray, same shape
            Its sum over the labels is the target's value.
        """
        weights = np.zeros_like(logits)
        if self.against_others:
            exponents = np.delete(logits, self.label, axis=1)
            shares = np.exp(exponents - exponents.max(axis=1, keepdims=True, initial=-np.inf))
            shares /= shares.sum(axis=1, keepdims=True)
            others = [index for index in range(logits.shape[1]) if index != self.label]
            weights[:, others] = -shares
        elif self.against is not None:
            weights[:, self.against] = -1.0
        weights[:, self.label] = 1.0
        started: NDArray[np.floating] = weights * logits
        return started
