"""Where arithmetic runs."""

from __future__ import annotations

import torch

from ml.errors import InvalidRequestError


def best_device(asked: str = "auto") -> torch.device:
    """Choose a device.

    Parameters
    ----------
    asked : {"auto", "cpu", "cuda"}
        ``"auto"`` takes a GPU where there is one.

    Raises
    ------
    InvalidRequestError
        When the name is unknown, or CUDA was asked for and is not there.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise InvalidRequestError(f"Unknown device {asked!r}; choose auto, cpu or cuda.")
    if asked == "cuda" and not torch.cuda.is_available():
        raise InvalidRequestError("Device cuda was asked for, but torch finds no CUDA device.")
    if asked == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there (elsewhere it is emulated)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
