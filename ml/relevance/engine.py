"""Explaining targets: choosing an engine, a method and a layer, and calling the engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ml.errors import InvalidRequestError, UnknownLayerError
from ml.model import Model
from ml.relevance import direct_engine
from ml.relevance.evidence import Evidence, OnMap
from ml.relevance.methods import Method, method_named
from ml.relevance.target import Target
from ml.relevance.trace import convolutions_of

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
    covered = direct_engine.covers(model.network)
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


def concept_layers(model: Model) -> tuple[str, ...]:
    """Layers whose channels can be taken for concepts.

    Parameters
    ----------
    model : Model

    Returns
    -------
    tuple of str
        The convolutions below the head, in the order they run; the last is the default.
    """
    return convolutions_of(model.network)


def check_layer(model: Model, layer: str | None = None) -> str:
    """The layer to split into concepts.

    Parameters
    ----------
    model : Model
    layer : str, optional
        By default the model's own concept layer.

    Raises
    ------
    UnknownLayerError
        When it is none of `concept_layers`.
    """
    if layer is None:
        return model.concept_layer
    available = concept_layers(model)
    if layer not in available:
        raise UnknownLayerError(
            f"Model {model.card.id!r} has no layer {layer!r} to split into concepts; there are "
            f"{', '.join(available)}.",
            extra={"unknown": layer, "available": list(available)},
        )
    return layer


def explain_targets(
    model: Model,
    inputs: NDArray[np.floating],
    targets: Sequence[Target],
    n_concepts: int = 0,
    *,
    method: Method | None = None,
    layer: str | None = None,
    engine: str | None = None,
    on_map: OnMap | None = None,
) -> tuple[Evidence, ...]:
    """Explain targets in windows.

    Parameters
    ----------
    model : Model
    inputs : ndarray of float32, shape (n_windows, n_mels, n_frames)
        Scaled log-mels, 0..1. (A network in float64 takes and gives float64.)
    targets : sequence of Target
        What to explain of the model's labels.
    n_concepts : int
        How many of each target's strongest channels get maps of their own.
    method : Method, optional
        By default `ml.relevance.methods.DEFAULT_METHOD`.
    layer : str, optional
        Whose channels are the concepts; as for `check_layer`.
    engine : str, optional
        As for `choose_engine`.
    on_map : callable, optional
        Called with the number of windows' maps just finished, ``n_windows * (n_concepts + 2)`` in all for
        each target; may raise to cancel.

    Returns
    -------
    tuple of Evidence
        One for each target.

    Raises
    ------
    UnknownEngineError, UnknownLayerError
    """
    chosen = choose_engine(model, engine)
    method, layer = method or method_named(), check_layer(model, layer)
    if not targets:
        return ()
    if len(inputs) == 0:
        return _no_evidence(model, inputs, targets, layer)
    if chosen == "direct":
        explain = direct_engine.explain_targets
    else:
        from ml.relevance import zennit_engine

        explain = zennit_engine.explain_targets
    with model.lock:
        return explain(
            model, inputs, targets, n_concepts=n_concepts, method=method, layer=layer, on_map=on_map
        )


def _no_evidence(
    model: Model, inputs: NDArray[np.floating], targets: Sequence[Target], layer: str
) -> tuple[Evidence, ...]:
    """What no window at all is evidence of."""
    concepts = model.network.get_submodule(layer)
    assert isinstance(concepts, nn.Conv2d)
    channels = np.zeros((0, concepts.out_channels), dtype=inputs.dtype)
    return tuple(Evidence(inputs[:, 0, 0], channels, inputs, (), inputs[None]) for _ in targets)
