"""What networks see of a batch: `ml.melspec.scaled` on tensors."""

from __future__ import annotations

from torch import Tensor

from ml.melspec import MelConfig


def scaled_batch(levels_db: Tensor, mel: MelConfig) -> Tensor:
    """Scale levels `(batch, n_mels, n_frames)` in dB to a network's input `(batch, 1, n_mels, n_frames)`."""
    reference_db = levels_db.amax(dim=(-2, -1), keepdim=True).clamp_min(mel.quietest_peak_db)
    return ((levels_db - reference_db) / mel.range_db + 1.0).clamp_(0.0, 1.0).unsqueeze(1)
