"""The shapes of what the API tells of large jobs: their orders, their progress and their results.

Conventions as in `service.documents.schemas`.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from worker.progress import Progress


class Open(BaseModel):
    """A shape that may gain members."""

    model_config = ConfigDict(extra="allow")


class EpochDocument(BaseModel):
    """What the last epoch of a training gave."""

    epoch: int
    n_epochs: int = Field(description="Epochs in all.")
    train_loss: float
    validation_loss: float
    macro_f1: float = Field(ge=0, le=1, description="Mean F1 over the instruments, on the validation part.")


def optional(description: str) -> Any:
    """A field that is left out where it says nothing."""
    return Field(None, description=description, exclude_if=lambda value: value is None)


class ProgressDocument(BaseModel):
    """How far a job is."""

    stage: str = Field(
        description="What is being done, such as decoding, attributing, rendering clips or training."
    )
    done: int = Field(description="Steps of this stage that are done; of a data set, clips.")
    total: int = Field(description="Steps of this stage in all; 0 while unknown.")
    queue_position: int | None = Field(description="1 for the job that is next; null unless queued.")
    per_second: float | None = optional("Of a data set: clips per second.")
    left_s: float | None = optional("Of a data set: about how long it will still take.")
    metrics: EpochDocument | None = optional("Of a training: its last epoch.")

    @classmethod
    def of(cls, progress: Progress, queue_position: int | None) -> Self:
        """The document of a job's progress."""
        return cls.model_validate({**progress.document(), "queue_position": queue_position})


class DatasetOrderDocument(BaseModel):
    """What a data set job makes."""

    recipe: dict[str, Any] = Field(description="The recipe, every field stated.")
    url: str = Field(description="Where the data set goes.")
    audio: bool
    stems: bool


class TrainingOrderDocument(BaseModel):
    """What a training job makes."""

    dataset_url: str
    model_id: str
    config: dict[str, Any] = Field(description="The configuration, every field stated.")
    overwrite: bool


class ModelReference(BaseModel):
    """A model, and the hash of its weights."""

    id: str
    sha256: str


class DatasetResult(Open):
    """A finished data set."""

    url: str = Field(description="Where it lies.")
    digest: str = Field(description="SHA-256 over the checksums of all shards: equal digests are equal data.")
    n_clips: int
    n_shards: int
    labels: list[str]
    manifest: str = Field(description="Checksums, recipe, versions and occurrence tables, as JSON.")


class TrainingResult(Open):
    """A finished model."""

    trained: ModelReference
    card: dict[str, Any] = Field(description="All that is known of the model.")
    curves: str = Field(description="The epochs' losses and F1, as PNG.")
