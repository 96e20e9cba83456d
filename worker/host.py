"""The model host: keeps the models that a process needs loaded.

Conventions: a model's id is what its card says. Models that this worker brings along are known by their id;
those that trainings have published by their version, which stands for card and weights alike, so that a
model that was trained anew, or given another card, is never mistaken for its predecessor. `installed_models`
and `announcements` read cards only and are for the parent process; `ModelHost` imports torch and is for the
processes that compute.
"""

import logging
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ml.checkpoint import CARD_NAME, ModelCard, read_card
from ml.errors import TimbrescopeError, UnknownModelError
from worker import tracing
from worker.atlases import AtlasDocuments
from worker.catalog import Catalog, PublishedModel, model_from_card
from worker.errors import ModelGoneError
from worker.figures import Figures
from worker.questions import ModelRef
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from ml.concepts.atlas import Atlas
    from ml.model import Model

log = logging.getLogger(__name__)

# Published models that a process keeps loaded; the one that was not asked for the longest makes room.
MOST_LOADED = 8


def announcements(settings: WorkerSettings) -> tuple[PublishedModel, ...]:
    """What this machine's worker can offer.

    Raises
    ------
    UnknownModelError
        When the default model is not among them: such a worker would fail most of its jobs.
    """
    folders = installed_models(settings.models_dir)
    if settings.default_model not in folders:
        raise _unknown(settings.default_model, settings.models_dir, folders)
    return tuple(model_from_card(read_card(folder).model_dump(mode="json")) for folder in folders.values())


def with_layers(model: PublishedModel) -> PublishedModel:
    """The announcement with the layers that can be split into concepts. Imports torch, loads no weights."""
    from ml.melspec import MelConfig
    from ml.networks.registry import build_network
    from ml.relevance.trace import convolutions_of

    card = ModelCard.model_validate(model.card)
    network = build_network(card.network, len(card.labels), MelConfig.from_dict(card.mel).n_mels)
    return replace(model, layers=convolutions_of(network))


def announced_atlases(settings: WorkerSettings) -> tuple[AtlasDocuments, ...]:
    """What is told of the concepts of the models that this worker brings along."""
    from worker.concepts import atlas_of, documents_of

    folders = installed_models(settings.models_dir).values()
    found = ((read_card(folder), atlas_of(folder)) for folder in folders)
    return tuple(documents_of(card, atlas) for card, atlas in found if atlas is not None)


def installed_models(models_dir: Path) -> dict[str, Path]:
    """The folder of every model in `models_dir`, by the id on its card."""
    folders = sorted(path.parent for path in models_dir.glob(f"*/{CARD_NAME}"))
    return {read_card(folder).id: folder for folder in folders}


class ModelHost:
    """The loaded models of one process."""

    def __init__(self, settings: WorkerSettings, catalog: Catalog, figures: Figures | None = None) -> None:
        import torch

        torch.set_num_threads(settings.threads)
        self._settings = settings
        self._catalog = catalog
        self._figures = figures
        self._folders = installed_models(settings.models_dir)
        self._loaded: dict[str, Model] = {}
        self._atlases: dict[str, Atlas | None] = {}
        self._fetched: OrderedDict[str, Model] = OrderedDict()
        self._brought(settings.default_model)

    @property
    def default(self) -> "Model":
        """The model of requests that name none."""
        return self._brought(self._settings.default_model)

    def model(self, ref: ModelRef) -> "Model":
        """The model, loaded the first time it is asked for.

        Raises
        ------
        ModelGoneError
            When it is neither brought along nor, in this version, where trainings leave their models.
        """
        if ref.id in self._folders:
            return self._brought(ref.id)
        if ref.version not in self._fetched:
            self._fetched[ref.version] = self._load(self._fetch(ref), "published")
        self._fetched.move_to_end(ref.version)
        while len(self._fetched) > MOST_LOADED:
            self._fetched.popitem(last=False)
        return self._fetched[ref.version]

    def atlas(self, model: "Model") -> "Atlas | None":
        """The atlas of a model's concepts, for one that this worker brings along and that has one."""
        from worker.concepts import atlas_of

        if model.card.id not in self._folders:
            return None
        if model.card.id not in self._atlases:
            self._atlases[model.card.id] = atlas_of(self._folders[model.card.id])
        found = self._atlases[model.card.id]
        return found if found is not None and found.model_sha256 == model.card.sha256 else None

    def remember_published(self) -> None:
        """Tells the catalogue which models lie where trainings leave them, in case it has forgotten."""
        from ml.dataset.storage import open_storage
        from ml.model_store import published_models

        place = self._settings.models_place
        try:
            for found in published_models(open_storage(place)):
                fields = found.card.model_dump(mode="json")
                made = model_from_card(fields, url=place, version=found.version)
                self._catalog.remember(with_layers(made))
        except TimbrescopeError as error:
            log.warning("cannot look for published models", extra={"error": str(error)})

    def forget(self) -> None:
        """Lets go of all models, so that what a failed call may have left in them is not seen again."""
        self._loaded.clear()
        self._fetched.clear()

    def _brought(self, model_id: str) -> "Model":
        if model_id not in self._folders:
            raise _unknown(model_id, self._settings.models_dir, self._folders)
        if model_id not in self._loaded:
            self._loaded[model_id] = self._load(self._folders[model_id], "shipped")
        return self._loaded[model_id]

    def _fetch(self, ref: ModelRef) -> Path:
        from ml.dataset.storage import open_storage
        from ml.model_store import fetch

        published = self._catalog.published(ref.id)
        place = (published and published.url) or self._settings.models_place
        try:
            if ref.version:  # else it was brought along by a worker that is gone
                return fetch(open_storage(place), ref.id, ref.version, self._settings.model_cache)
            raise UnknownModelError(f"No worker brings model {ref.id!r} along any more.")
        except UnknownModelError as error:
            raise ModelGoneError(
                f"Model {ref.id!r} with the weights {ref.sha256[:16]} and the card that the job was accepted "
                "with is no longer kept; send the request again.",
                extra={"unknown": ref.id},
            ) from error

    def _load(self, folder: Path, origin: str) -> "Model":
        from ml.model import load_model

        started = time.monotonic()
        with tracing.span("load model", attributes={"timbrescope.model.origin": origin}) as span:
            model = load_model(folder, device=self._settings.device)
            span.tell({"timbrescope.model.id": model.card.id})
        elapsed_s = time.monotonic() - started
        about = {"model": model.card.id, "device": model.device, "elapsed_s": round(elapsed_s, 3)}
        log.info("loaded a model", extra=about)
        if self._figures is not None:
            self._figures.observe("model_load_seconds", elapsed_s, origin=origin)
        return model


def _unknown(model_id: str, models_dir: Path, folders: dict[str, Path]) -> UnknownModelError:
    return UnknownModelError(
        f"There is no model {model_id!r} in {models_dir}.",
        extra={"unknown": model_id, "available": sorted(folders)},
    )
