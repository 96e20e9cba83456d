"""Mixing of whole clips, for data sets whose clips play several instruments each.

Tensors of levels are in dB, `(batch, n_mels, n_frames)`; labels are 0 or 1, `(batch, n_labels)`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

MIX_GAIN_DB = 6.0
_DB_PER_NEPER_OF_POWER = 10.0 / math.log(10.0)


def mix_pairs(
    levels_db: Tensor, labels: Tensor, probability: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Add another clip of the batch to some clips, power to power, labels united.

    Parameters
    ----------
    levels_db : Tensor, shape (batch, n_mels, n_frames)
    labels : Tensor, shape (batch, n_labels)
    probability : float
        Chance of each clip to get another one added.
    rng : numpy.random.Generator

    Returns
    -------
    levels_db, labels : Tensor
        Mixed where drawn; the inputs are not changed. Powers of unrelated sounds add up on average, so the
        mel of the sum is close to the sum of the mels.
    """
    drawn = torch.from_numpy(rng.random(len(labels)) < probability).to(labels.device)
    partners = torch.from_numpy(rng.permutation(len(labels))).to(labels.device)
    gains_db = torch.from_numpy(rng.uniform(-MIX_GAIN_DB, MIX_GAIN_DB, len(labels)).astype(np.float32)).to(
        levels_db.device
    )
    if not bool(drawn.any()):
        return levels_db, labels
    chosen, added = drawn.nonzero()[:, 0], partners[drawn]
    other = levels_db[added] + gains_db[drawn, None, None]
    mixed = levels_db.clone()
    mixed[chosen] = _DB_PER_NEPER_OF_POWER * torch.logaddexp(
        levels_db[chosen] / _DB_PER_NEPER_OF_POWER, other / _DB_PER_NEPER_OF_POWER
    )
    united = labels.clone()
    united[chosen] = torch.maximum(labels[chosen], labels[added])
    return mixed, united
