"""Which imported recordings validate.

The recordings of each set of labels are shared out alone: of two or more, at least one validates and one is
trained on. A label whose recordings all have different sets of labels would so have none that validates;
then one of them is moved, as long as all its labels keep one to be trained on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ml.synthesis.plan import Split


def drawn_splits(labels: Mapping[str, tuple[int, ...]], share: float, seed: int) -> dict[str, Split]:
    """Share out recordings, by content, so that the order and names of files do not matter.

    Parameters
    ----------
    labels : mapping of str to tuple of int
        Places of each recording's labels, ascending, by its SHA-256.
    share : float
        That validates, in 0..1; at 0 none does.
    seed : int

    Returns
    -------
    dict of str to {"train", "validation"}
        By SHA-256. Every label is trained on; one of two recordings or more validates too, unless all of
        them are the only ones of another label.
    """
    splits: dict[str, Split] = {}
    for of_group in sorted(set(labels.values())):
        members = sorted(digest for digest, found in labels.items() if found == of_group)
        n_validation = 0
        if share > 0.0:
            n_validation = min(max(round(len(members) * share), 1), len(members) - 1)
        order = np.random.default_rng([seed, *of_group, len(of_group)]).permutation(len(members))
        for rank, place in enumerate(order):
            splits[members[place]] = "validation" if rank < n_validation else "train"
    if share > 0.0:
        for label in sorted({place for found in labels.values() for place in found}):
            _let_one_validate(splits, labels, label)
    return splits


def _let_one_validate(splits: dict[str, Split], labels: Mapping[str, tuple[int, ...]], label: int) -> None:
    members = sorted(digest for digest, found in labels.items() if label in found)
    if any(splits[digest] == "validation" for digest in members):
        return
    for digest in sorted(members, key=lambda digest: (len(labels[digest]), digest)):
        if all(_n_trained_on(splits, labels, other) > 1 for other in labels[digest]):
            splits[digest] = "validation"
            return


def _n_trained_on(splits: Mapping[str, Split], labels: Mapping[str, tuple[int, ...]], label: int) -> int:
    return sum(label in found and splits[digest] == "train" for digest, found in labels.items())
