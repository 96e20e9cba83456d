"""The shapes of answers, as they are validated, sent and described in the OpenAPI document.

Conventions: times are RFC 3339 in UTC, durations and positions in seconds, links are paths on this server.
Results may gain members; clients ignore those that they do not know.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from ml.relevance.methods import DEFAULT_METHOD, METHODS
from service.documents.explain_schemas import ClassifyResult, ExplainResult
from service.documents.order_schemas import (
    DatasetOrderDocument,
    DatasetResult,
    ModelReference,
    Open,
    ProgressDocument,
    TrainingOrderDocument,
    TrainingResult,
    optional,
)
from worker.catalog import PublishedModel
from worker.jobs import Job, JobKind, JobStatus
from worker.webhooks import Delivery, DeliveryStatus


class FieldFaultDocument(BaseModel):
    """What is wrong with one field of what was sent."""

    field: str = Field(description="For example recipe.melody.0.works.")
    message: str


class ProblemDocument(Open):
    """RFC 9457: what went wrong. More members may stand beside these, such as `available`."""

    type: str = Field(description="Names the kind of problem; stable, to be compared.")
    title: str = Field(description="The kind of problem for a person.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong this time, with the offending value.")
    instance: str | None = optional("The path of what the problem is about, such as a job.")
    errors: list[FieldFaultDocument] | None = optional("The fields at fault, where there are any.")


class InputDocument(BaseModel):
    """The recording, as its headers describe it."""

    filename: str
    sha256: str
    format: str = Field(description="wav, flac, ogg, mp3, aiff or midi.")
    duration_s: float
    sample_rate_hz: int | None = Field(description="null for MIDI.")
    channels: int | None = Field(description="null for MIDI.")


class StemDocument(BaseModel):
    """One of the recordings that a mix is made of."""

    instrument: str = Field(description="What plays in it.")
    recording: InputDocument


class LinksDocument(BaseModel):
    """Where the job and its events are found."""

    self_: Annotated[str, Field(alias="self")]
    events: str


class WebhookDocument(BaseModel):
    """How it stands with telling who wants to hear of a job's end."""

    status: DeliveryStatus
    attempts: int = Field(description="How often it was tried.")
    last_status: int | None = Field(description="The HTTP status that was last answered; null for none.")


class JobSummary(BaseModel):
    """A job without its result."""

    id: str
    kind: JobKind
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="When the job and its files go; null until it has ended.")
    progress: ProgressDocument
    input: InputDocument | None = Field(
        description="The recording; null for checks, data sets and trainings."
    )
    stems: list[StemDocument] | None = optional("Of a check: the recordings that the mix is made of.")
    model: ModelReference | None = Field(
        description="The model that is asked; null for data sets and trainings."
    )
    order: DatasetOrderDocument | TrainingOrderDocument | None = optional(
        "What a data set or training job makes."
    )
    stopping: bool = Field(
        False,
        description="True while a training that was cancelled makes a model of its best epoch.",
        exclude_if=lambda value: not value,
    )
    cached: bool = Field(
        description="Whether an earlier job had answered the same question, so that nothing was computed."
    )
    error: ProblemDocument | None = Field(description="Why a failed job failed.")
    webhook: WebhookDocument | None = optional(
        "Of a job looked at by itself whose end is to be told: how it stands with that."
    )
    links: LinksDocument

    @classmethod
    def of(cls, job: Job, queue_position: int | None = None, delivery: Delivery | None = None) -> Self:
        """The document of a job."""
        error = None if job.error is None else {**job.error.document(), "instance": job.path}
        return cls.model_validate(
            {
                "id": job.id,
                "kind": job.kind,
                "status": job.status,
                "created_at": job.created_at,
                "started_at": job.started_at,
                "finished_at": job.finished_at,
                "expires_at": job.expires_at,
                "progress": ProgressDocument.of(job.progress, queue_position),
                "input": job.input and vars(job.input),
                "stems": [
                    {"instrument": stem.instrument, "recording": vars(stem.recording)} for stem in job.stems
                ]
                or None,
                "model": job.model and {"id": job.model.id, "sha256": job.model.sha256},
                "order": job.order and vars(job.order),
                "stopping": job.stopping,
                "cached": job.cached,
                "result": job.result,
                "error": error,
                "webhook": delivery and vars(delivery),
                "links": {"self": job.path, "events": f"{job.path}/events"},
            }
        )


class JobDocument(JobSummary):
    """A job."""

    result: ExplainResult | ClassifyResult | DatasetResult | TrainingResult | None = Field(
        description="null until the job has succeeded, or a training was stopped early."
    )


class JobList(BaseModel):
    """Some of the jobs, newest first."""

    jobs: list[JobSummary]
    next: str | None = Field(description="The path of the next page; null on the last one.")


class JobEventDocument(BaseModel):
    """What one server-sent event carries in its data."""

    id: str
    status: JobStatus
    progress: ProgressDocument


class ModelDocument(BaseModel):
    """A model that can be asked for."""

    id: str
    sha256: str
    default: bool = Field(description="Whether requests that name no model get this one.")
    task: str
    instruments: list[str]
    thresholds: dict[str, float] = Field(description="From which probability on each instrument is present.")
    layers: list[str] = Field(
        description="Whose channels may be the concepts of an explanation, in the order in which they run; "
        "the last one is the default."
    )
    card: dict[str, Any] = Field(
        description="All that the model's card says: training, data, metrics, licences."
    )

    @classmethod
    def of(cls, model: PublishedModel, default_id: str) -> Self:
        """The document of an announced model."""
        return cls(
            id=model.id,
            sha256=model.sha256,
            default=model.id == default_id,
            task=model.task,
            instruments=list(model.labels),
            thresholds=dict(model.thresholds),
            layers=list(model.layers),
            card=dict(model.card),
        )


class MethodDocument(BaseModel):
    """A way to compute relevance."""

    name: str
    description: str
    default: bool = Field(description="Whether requests that name no method get this one.")


class ModelList(BaseModel):
    """The models that can be asked for, and by which methods they can be explained."""

    models: list[ModelDocument]
    methods: list[MethodDocument]

    @classmethod
    def of(cls, models: Iterable[PublishedModel], default_id: str) -> Self:
        """The document of what is announced."""
        methods = [
            MethodDocument(name=name, description=method.description, default=name == DEFAULT_METHOD)
            for name, method in METHODS.items()
        ]
        return cls(models=[ModelDocument.of(model, default_id) for model in models], methods=methods)


class InstrumentDocument(BaseModel):
    """An instrument that a model knows."""

    instrument: str
    threshold: float = Field(description="From which probability on it is present, unless the request says.")


class InstrumentList(BaseModel):
    """The instruments that a model knows."""

    model: str
    instruments: list[InstrumentDocument]


class HealthDocument(BaseModel):
    """All is well."""

    status: str
