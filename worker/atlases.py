"""The atlases of models' concepts, as JSON in Redis: kept there by the workers, read by the API.

Conventions: an atlas is a hash of documents; that of the whole has the name `OVERVIEW`, that of one concept
`layer/channel`. It is known by its model's id and weights. Whoever keeps it looks again and again whether it
is still there, so that Redis may forget everything; long after the last such look it expires.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from ml.errors import MissingAtlasError, UnknownConceptError
from worker import keys

OVERVIEW = "overview"
KEPT_S = 86_400.0


@dataclass(frozen=True)
class AtlasDocuments:
    """What the API tells of a model's concepts, by the documents' names."""

    model_id: str
    sha256: str
    documents: Mapping[str, str]


class Atlases:
    """The atlases of all models."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def keep(self, atlas: AtlasDocuments) -> None:
        """Puts an atlas there unless it is; either way it lives on for `KEPT_S`."""
        key, lifetime_ms = keys.atlas(atlas.model_id, atlas.sha256), round(KEPT_S * 1000)
        if self._redis.pexpire(key, lifetime_ms):
            return
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=cast(Any, dict(atlas.documents)))
            pipe.pexpire(key, lifetime_ms)
            pipe.execute()

    def overview(self, model_id: str, sha256: str) -> dict[str, Any]:
        """The document of a model's atlas.

        Raises
        ------
        MissingAtlasError
            When it has none.
        """
        found = self._document(model_id, sha256, OVERVIEW)
        if found is None:
            raise MissingAtlasError(f"Model {model_id!r} has no atlas of its concepts.")
        return found

    def concept(self, model_id: str, sha256: str, layer: str, channel: int) -> dict[str, Any]:
        """The document of one concept.

        Raises
        ------
        MissingAtlasError, UnknownConceptError
            When the model has no atlas, the atlas no such layer, or the layer no such channel.
        """
        found = self._document(model_id, sha256, concept_name(layer, channel))
        if found is not None:
            return found
        layers = {each["layer"]: each["n_channels"] for each in self.overview(model_id, sha256)["layers"]}
        if layer not in layers:
            raise UnknownConceptError(
                f"The atlas of model {model_id!r} has no layer {layer[:100]!r}.",
                extra={"unknown": layer, "available": list(layers)},
            )
        raise UnknownConceptError(
            f"Layer {layer} has no channel {channel}; it has 0 to {layers[layer] - 1}.",
            extra={"unknown": channel, "n_channels": layers[layer]},
        )

    def _document(self, model_id: str, sha256: str, name: str) -> dict[str, Any] | None:
        found = cast(bytes | None, self._redis.hget(keys.atlas(model_id, sha256), name))
        return None if found is None else cast(dict[str, Any], json.loads(found))


def concept_name(layer: str, channel: int) -> str:
    """What a concept's document is called."""
    return f"{layer}/{channel}"
