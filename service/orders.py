"""From a checked body to a queued data set or training job.

Conventions: the recipe and the configuration are checked here as far as that goes without rendering anything;
what only a worker can know (a SoundFont that is missing, what lies at a place already) ends the job, before
anything is rendered. Blocking, for the thread pool.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ml.errors import within
from ml.synthesis.recipe import Recipe, require_both_parts, require_safe
from ml.training.config import TrainingConfig
from service.access import Caller
from service.services import Services
from service.submission import fault_of, hand_over
from worker.errors import JobUnfinishedError, ModelExistsError, PlaceTakenError
from worker.ids import is_job_id, new_job_id
from worker.jobs import Job, JobKind, JobStatus
from worker.orders import MODEL_ID_PATTERN, DatasetOrder, TrainingOrder
from worker.places import LONGEST_URL, place_below


class DatasetRequest(BaseModel):
    """The body of `POST /datasets`."""

    model_config = ConfigDict(extra="forbid")

    recipe: Recipe = Field(description="What the data set should sound like.")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = Field(
        None,
        description="Names the folder below the first allowed root, unless `url` is given; by default the "
        "recipe's name.",
        examples=["winds"],
    )
    url: Annotated[str, Field(max_length=LONGEST_URL)] | None = Field(
        None, description="Where the data set goes: an absolute path or URL below an allowed root."
    )
    audio: bool = Field(True, description="Whether sound and MIDI are kept beside the log-mels.")
    stems: bool = Field(False, description="Whether every instrument's stem is kept too; needs `audio`.")


class TrainingRequest(BaseModel):
    """The body of `POST /trainings`."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    dataset: Annotated[str, Field(max_length=LONGEST_URL)] = Field(
        description="The id of a data set job that has succeeded, or a data set's URL below an allowed root."
    )
    model_id: Annotated[str, Field(pattern=MODEL_ID_PATTERN)] = Field(
        description="What the model will be called.", examples=["winds"]
    )
    config: TrainingConfig = Field(TrainingConfig(), description="How the network is trained.")
    overwrite: bool = Field(False, description="Whether a model of this id may be replaced.")


def order_dataset(services: Services, caller: Caller, asked: DatasetRequest) -> Job:
    """Checks the request and hands it to the workers; a job that makes the same there already is the answer.

    Raises
    ------
    TimbrescopeError
        Saying what is wrong with the request or the service; no job is left behind then.
    """
    if asked.stems and not asked.audio:
        raise fault_of("stems", "Stems are kept beside the sound: they need audio")
    with within("recipe"):
        require_safe(asked.recipe)
        require_both_parts(asked.recipe)
    roots = services.settings.dataset_places
    field = "name" if asked.url is None else "url"
    url = asked.url or f"{roots[0]}/{asked.name or asked.recipe.name}"
    order = DatasetOrder(
        recipe=asked.recipe.model_dump(mode="json"),
        url=place_below(roots, url, field=field),
        audio=asked.audio,
        stems=asked.stems,
    )
    return _admit(services, caller, JobKind.DATASET, order)


def order_training(services: Services, caller: Caller, asked: TrainingRequest) -> Job:
    """Checks the request and hands it to the workers; raises like `order_dataset`."""
    catalog = services.catalog
    if asked.model_id in catalog.announced_ids():
        raise ModelExistsError(f"The model {asked.model_id!r} comes with the program; choose another id.")
    if catalog.published(asked.model_id) is not None and not asked.overwrite:
        raise ModelExistsError(f"There is a model {asked.model_id!r} already; `overwrite` replaces it.")
    order = TrainingOrder(
        dataset_url=_dataset_url(services, caller, asked.dataset),
        model_id=asked.model_id,
        config=asked.config.to_dict(),
        overwrite=asked.overwrite,
    )
    return _admit(services, caller, JobKind.TRAINING, order)


def _dataset_url(services: Services, caller: Caller, dataset: str) -> str:
    if not is_job_id(dataset):
        return place_below(services.settings.dataset_places, dataset, field="dataset")
    job = services.store.get(dataset, caller.audiences)
    if not isinstance(job.order, DatasetOrder):
        raise fault_of("dataset", f"Job {job.id} makes no data set")
    if job.status is not JobStatus.SUCCEEDED:
        raise JobUnfinishedError(f"Job {job.id} is {job.status}; its data set is not finished.")
    return job.order.url


def _admit(services: Services, caller: Caller, kind: JobKind, order: DatasetOrder | TrainingOrder) -> Job:
    job = Job(id=new_job_id(), kind=kind, created_at=datetime.now(UTC), order=order, owner=caller.owner)
    try:
        services.store.admit(job, max_queued=services.settings.max_queued_batch)
    except PlaceTakenError as error:
        other = services.store.get(str(error.extra["job"]))
        if other.order == order:
            return other
        raise
    hand_over(services, job)
    return job
