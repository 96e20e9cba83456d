"""Choosing an engine and calling it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ml.errors import InvalidRequestError
from ml.model import Model
from ml.relevance import direct_engine
from ml.relevance.evidence import Evidence, OnMap

ENGINES = ("direct", "zennit")


class UnknownEngineError(InvalidRequestError):
    """No engine has this name, or it does not cover the model's network."""

    code = "unknown-engine"


def choose_engine(model: Model, asked: str | None = None) -> str:
    """The engine to explain a model with.

    Parameters
    ----------
    model : Model
    asked : {"direct", "zennit"}, optional
        By default the direct engine, or zennit-crp where that one does not cover the network.

    Raises
    ------
    UnknownEngineError
        When there is no such engine, or it does not cover the network.
    """
    covered = direct_engine.covers(model.network, model.concept_layer)
    if asked is None:
        return "direct" if covered else "zennit"
    if asked not in ENGINES:
        raise UnknownEngineError(
            f"Unknown engine {asked!r}; there are {', '.join(ENGINES)}.",
            extra={"unknown": asked, "available": list(ENGINES)},
        )
    if asked == "direct" and not covered:
        raise UnknownEngineError(f"The direct engine does not cover the network of model {model.card.id}.")
    return asked


def explain_labels(
    model: Model,
    inputs: NDArray[np.floating],
    labels: Sequence[int],
    n_concepts: int = 0,
    *,
    engine: str | None = None,
    on_map: OnMap | None = None,
) -> tuple[Evidence, ...]:
    """Explain labels in windows.

    Parameters
    ----------
    model : Model
    inputs : ndarray of float32, shape (n_windows, n_mels, n_frames)
        Scaled log-mels, 0..1. (A network in float64 takes and gives float64.)
    labels : sequence of int
        Which of the model's labels.
    n_concepts : int
        How many of each label's strongest channels get maps of their own.
    engine : str, optional
        As for `choose_engine`.
    on_map : callable, optional
        Called with the number of windows' maps just finished, ``n_windows * (n_concepts + 2)`` in all for
        each label; may raise to cancel.

    Returns
    -------
    tuple of Evidence
        One for each label.
    """
    chosen = choose_engine(model, engine)
    if len(inputs) == 0:
        return _no_evidence(model, inputs, labels)
    with model.lock:
        if chosen == "direct":
            return direct_engine.explain_labels(model, inputs, labels, n_concepts, on_map)
        from ml.relevance import zennit_engine

        return zennit_engine.explain_labels(model, inputs, labels, n_concepts, on_map)


def _no_evidence(model: Model, inputs: NDArray[np.floating], labels: Sequence[int]) -> tuple[Evidence, ...]:
    """What no window at all is evidence of."""
    concepts = model.network.get_submodule(model.concept_layer)
    assert isinstance(concepts, nn.Conv2d)
    channels = np.zeros((0, concepts.out_channels), dtype=inputs.dtype)
    return tuple(Evidence(inputs[:, 0, 0], channels, inputs, (), inputs[None]) for _ in labels)
