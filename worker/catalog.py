"""The models that can be asked for: announced in Redis by the workers that serve them, or published there by
the trainings that made them.

Conventions: the API has no model folder; it knows the cards that workers announce. Each pool process of a
worker announces itself every `HEARTBEAT_S` (`worker.presence`); after `PRESENCE_S` of silence it counts
as gone. While any is there, the models are those that the present ones serve; while none is (a restart,
say), those announced last, so that requests can wait in the queue. What a training has published every worker
can serve, for it lies where all can reach it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import cast

from pydantic import TypeAdapter
from redis import Redis

from ml.errors import UnknownInstrumentError, UnknownLayerError, UnknownModelError
from worker import keys
from worker.atlases import Atlases
from worker.errors import NoWorkerError

HEARTBEAT_S = 5.0
PRESENCE_S = 20.0
# How long a worker that has come or gone may go unnoticed by who asks for models.
SERVED_S = 1.0


@dataclass(frozen=True)
class PublishedModel:
    """A model that can be asked for; `card` is all that its folder says of it.

    `url` is that of the store in which a published model lies, `version` names what lies there, card and
    weights; None and empty for one that workers bring along. `layers` are those that can be split into
    concepts, the default last; none where that is not known, for only who computes knows networks.
    """

    id: str
    sha256: str
    task: str
    labels: tuple[str, ...]
    thresholds: Mapping[str, float]
    card: Mapping[str, object]
    url: str | None = None
    version: str = ""
    layers: tuple[str, ...] = ()

    def require_instruments(self, instruments: Sequence[str]) -> None:
        """Raises `UnknownInstrumentError` naming those that the model does not know."""
        unknown = [name for name in instruments if name not in self.labels]
        if unknown:
            raise UnknownInstrumentError(
                f"Model {self.id!r} does not know {', '.join(repr(name[:100]) for name in unknown)}.",
                extra={"unknown": unknown, "available": list(self.labels)},
            )

    def require_layer(self, layer: str | None) -> None:
        """Raises `UnknownLayerError` for one whose channels cannot be concepts."""
        if layer is not None and self.layers and layer not in self.layers:
            raise UnknownLayerError(
                f"Model {self.id!r} has no layer {layer[:100]!r} to split into concepts.",
                extra={"unknown": layer, "available": list(self.layers)},
            )


@dataclass(frozen=True)
class WorkerPresence:
    """A worker's process that is there, since when, and the models that it serves."""

    name: str
    models: tuple[str, ...]
    since: datetime | None = None


_MODELS = TypeAdapter(PublishedModel)
_PRESENCE = TypeAdapter(WorkerPresence)


def model_from_card(
    card: Mapping[str, object], *, url: str | None = None, version: str = ""
) -> PublishedModel:
    """The announcement of a model with this card."""
    return _MODELS.validate_python({**card, "card": card, "url": url, "version": version})


@lru_cache(maxsize=64)
def _read_model(stored: bytes) -> PublishedModel:
    """The model of a stored record; cards are long, and hardly ever change."""
    return _MODELS.validate_json(stored)


class Catalog:
    """What the workers serve, and what they tell of the concepts of it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._served: tuple[float, frozenset[str]] | None = None
        self.atlases = Atlases(redis)

    def announce(
        self, worker: str, models: Sequence[PublishedModel], *, since: datetime | None = None
    ) -> None:
        """A worker's process says, again and again, that it is ready, since when, and what it serves."""
        presence = WorkerPresence(worker, tuple(model.id for model in models), since)
        self._served = None
        with self._redis.pipeline(transaction=True) as pipe:
            for model in models:
                pipe.hset(keys.MODELS, model.id, cast(str, _MODELS.dump_json(model)))
            pipe.set(keys.worker(worker), _PRESENCE.dump_json(presence), px=round(PRESENCE_S * 1000))
            pipe.execute()

    def publish(self, model: PublishedModel) -> None:
        """A training has made a model; it takes the place of an earlier one of the same id."""
        self._redis.hset(keys.PUBLISHED, model.id, cast(str, _MODELS.dump_json(model)))

    def remember(self, model: PublishedModel) -> None:
        """A model was found where trainings leave them; news, if this Redis is a new one."""
        self._redis.hsetnx(keys.PUBLISHED, model.id, _MODELS.dump_json(model).decode())

    def published(self, model_id: str) -> PublishedModel | None:
        """The model that a training has published under this id."""
        found = cast(bytes | None, self._redis.hget(keys.PUBLISHED, model_id))
        return None if found is None else _read_model(found)

    def announced_ids(self) -> frozenset[str]:
        """The ids of all models that workers bring along."""
        return frozenset(name.decode() for name in cast(list[bytes], self._redis.hkeys(keys.MODELS)))

    def withdraw(self, worker: str) -> None:
        """A worker's process says that it stops."""
        self._served = None
        self._redis.delete(keys.worker(worker))

    def withdraw_all(self, prefix: str) -> None:
        """Takes back the announcements of all processes whose names begin like this."""
        for presence in self.workers():
            if presence.name.startswith(prefix):
                self.withdraw(presence.name)

    def workers(self) -> tuple[WorkerPresence, ...]:
        """The processes of workers that are there and ready."""
        names = list(self._redis.scan_iter(keys.WORKERS))
        found = cast(list[bytes | None], self._redis.mget(names)) if names else []
        return tuple(_PRESENCE.validate_json(presence) for presence in found if presence is not None)

    def models(self) -> tuple[PublishedModel, ...]:
        """The models that can be asked for, by id.

        Raises
        ------
        NoWorkerError
            When no worker has ever announced one.
        """
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.MODELS)
            pipe.hgetall(keys.PUBLISHED)
            announced, published = cast(tuple[dict[bytes, bytes], dict[bytes, bytes]], tuple(pipe.execute()))
        served = self._served_lately()
        brought = [_read_model(card) for card in announced.values()]
        if not brought:
            raise NoWorkerError("No worker has announced a model yet; start one with `timbrescope worker`.")
        found = [model for model in brought if model.id in served] or brought
        made = [_read_model(card) for name, card in published.items() if name not in announced]
        return tuple(sorted((*found, *made), key=lambda model: model.id))

    def _served_lately(self) -> frozenset[str]:
        """What the present workers serve, not looked for more often than every `SERVED_S`: it takes a look at
        every key that there is.
        """
        looked_at, served = self._served or (-SERVED_S, frozenset[str]())
        now = time.monotonic()
        if now - looked_at >= SERVED_S:
            served = frozenset(model for worker in self.workers() for model in worker.models)
            self._served = now, served
        return served

    def model(self, model_id: str) -> PublishedModel:
        """One model.

        Raises
        ------
        UnknownModelError
            When there is none of this id; it lists those that there are.
        """
        models = self.models()
        if model_id not in {model.id for model in models}:
            self._served = None  # it may be that of a worker that has come just now
            models = self.models()
        for model in models:
            if model.id == model_id:
                return model
        raise UnknownModelError(
            f"There is no model {model_id[:100]!r}.",
            extra={"unknown": model_id, "available": [model.id for model in models]},
        )
