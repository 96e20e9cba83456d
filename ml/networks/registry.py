"""Networks by name: what `--network`, checkpoints and model cards call them."""

from __future__ import annotations

from ml.errors import InvalidRequestError
from ml.networks.default import DefaultNetwork
from ml.networks.reference import ReferenceNetwork
from ml.networks.reference_deep import DeepReferenceNetwork

Network = DefaultNetwork | ReferenceNetwork | DeepReferenceNetwork

NETWORKS: dict[str, type[DefaultNetwork] | type[ReferenceNetwork] | type[DeepReferenceNetwork]] = {
    "default": DefaultNetwork,
    "reference": ReferenceNetwork,
    "reference-deep": DeepReferenceNetwork,
}


class UnknownNetworkError(InvalidRequestError):
    """No network has this name."""

    code = "unknown-network"


def build_network(name: str, n_labels: int, n_mels: int) -> Network:
    """Make an untrained network.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`.
    n_labels : int
        Logits it gives.
    n_mels : int
        Height of the log-mels it takes.

    Raises
    ------
    UnknownNetworkError
    """
    if name not in NETWORKS:
        raise UnknownNetworkError(
            f"Unknown network {name!r}.", extra={"unknown": name, "available": list(NETWORKS)}
        )
    return NETWORKS[name](n_labels, n_mels)
