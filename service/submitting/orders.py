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
from ml.synthesis.sections import YesOrNo
from ml.training.config import TrainingConfig
from service.access import Caller
from service.services import Services
from service.submitting.fingerprints import request_fingerprint
from service.submitting.idempotent import Made, make_once
from service.submitting.posting import Posting
from service.submitting.submission import fault_of, hand_over
from service.webhooks.receivers import LONGEST_URL as LONGEST_WEBHOOK
from service.webhooks.receivers import WEBHOOK_FIELD, callback_of
from worker.errors import JobUnfinishedError, ModelExistsError, PlaceTakenError
from worker.idempotency import Mark
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
    audio: YesOrNo = Field(True, description="Whether sound and MIDI are kept beside the log-mels.")
    stems: YesOrNo = Field(False, description="Whether every instrument's stem is kept too; needs `audio`.")
    webhook: Annotated[str, Field(max_length=LONGEST_WEBHOOK)] | None = Field(None, description=WEBHOOK_FIELD)


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
    overwrite: YesOrNo = Field(False, description="Whether a model of this id may be replaced.")
    webhook: Annotated[str, Field(max_length=LONGEST_WEBHOOK)] | None = Field(None, description=WEBHOOK_FIELD)


def order_dataset(services: Services, posting: Posting, asked: DatasetRequest) -> Made:
    """Checks the request and hands it to the workers, unless that was done before.

    A job that makes the same at the same place already is the answer to any request for it.

    Raises
    ------
    TimbrescopeError
        Saying what is wrong with the request or the service; no job is left behind then.
    """

    def make(mark: Mark | None) -> Job:
        order = _dataset(services, asked)
        return _admit(services, posting, JobKind.DATASET, order, webhook=asked.webhook, mark=mark)

    return make_once(services, posting, request_fingerprint(asked.model_dump(mode="json")), make)


def order_training(services: Services, posting: Posting, asked: TrainingRequest) -> Made:
    """Checks the request and hands it to the workers, unless that was done before; raises likewise."""

    def make(mark: Mark | None) -> Job:
        order = _training(services, posting.caller, asked)
        return _admit(services, posting, JobKind.TRAINING, order, webhook=asked.webhook, mark=mark)

    return make_once(services, posting, request_fingerprint(asked.model_dump(mode="json")), make)


def _dataset(services: Services, asked: DatasetRequest) -> DatasetOrder:
    if asked.stems and not asked.audio:
        raise fault_of("stems", "Stems are kept beside the sound: they need audio")
    with within("recipe"):
        require_safe(asked.recipe)
        require_both_parts(asked.recipe)
    roots = services.settings.dataset_places
    field = "name" if asked.url is None else "url"
    url = asked.url or f"{roots[0]}/{asked.name or asked.recipe.name}"
    return DatasetOrder(
        recipe=asked.recipe.model_dump(mode="json"),
        url=place_below(roots, url, field=field),
        audio=asked.audio,
        stems=asked.stems,
    )


def _training(services: Services, caller: Caller, asked: TrainingRequest) -> TrainingOrder:
    catalog = services.catalog
    if asked.model_id in catalog.announced_ids():
        raise ModelExistsError(f"The model {asked.model_id!r} comes with the program; choose another id.")
    if catalog.published(asked.model_id) is not None and not asked.overwrite:
        raise ModelExistsError(f"There is a model {asked.model_id!r} already; `overwrite` replaces it.")
    return TrainingOrder(
        dataset_url=_dataset_url(services, caller, asked.dataset),
        model_id=asked.model_id,
        config=asked.config.to_dict(),
        overwrite=asked.overwrite,
    )


def _dataset_url(services: Services, caller: Caller, dataset: str) -> str:
    if not is_job_id(dataset):
        return place_below(services.settings.dataset_places, dataset, field="dataset")
    job = services.store.get(dataset, caller.audiences)
    if not isinstance(job.order, DatasetOrder):
        raise fault_of("dataset", f"Job {job.id} makes no data set")
    if job.status is not JobStatus.SUCCEEDED:
        raise JobUnfinishedError(f"Job {job.id} is {job.status}; its data set is not finished.")
    return job.order.url


def _admit(
    services: Services,
    posting: Posting,
    kind: JobKind,
    order: DatasetOrder | TrainingOrder,
    *,
    webhook: str | None,
    mark: Mark | None,
) -> Job:
    callback = callback_of(webhook, services.settings.webhook_hosts)
    job = Job(
        id=new_job_id(),
        kind=kind,
        created_at=datetime.now(UTC),
        order=order,
        owner=posting.owner,
        request_id=posting.request_id,
        trace=posting.trace,
        callback=callback,
        mark="" if mark is None else mark.name,
    )
    try:
        services.store.admit(job, max_queued=services.settings.max_queued_batch, mark=mark)
    except PlaceTakenError as error:
        other = services.store.get(str(error.extra["job"]))
        if other.order != order or callback not in (None, other.callback):
            raise  # what is at work there does something else, or tells somebody else
        if mark is not None:
            services.marks.keep(posting.owner, mark, other)
        return other
    hand_over(services, job)
    return job
