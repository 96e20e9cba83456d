"""What a webhook is told: that a job has ended, and how. What it found is fetched where `links` say."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from service.documents.result_examples import JOB_ID
from service.documents.schemas import LinksDocument, ProblemDocument
from worker.jobs import Job, JobKind, JobStatus

EXAMPLE: JsonDict = {
    "type": "job.succeeded",
    "timestamp": "2026-03-01T12:00:04.500000Z",
    "data": {
        "id": JOB_ID,
        "kind": "explain",
        "status": "succeeded",
        "created_at": "2026-03-01T12:00:00Z",
        "started_at": "2026-03-01T12:00:00.100000Z",
        "finished_at": "2026-03-01T12:00:04.500000Z",
        "expires_at": "2026-03-02T12:00:04.500000Z",
        "error": None,
        "links": {"self": f"/jobs/{JOB_ID}", "events": f"/jobs/{JOB_ID}/events"},
    },
}


class EndedJobDocument(BaseModel):
    """A job that has ended."""

    id: str
    kind: JobKind
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    expires_at: datetime = Field(description="When the job and its files go.")
    error: ProblemDocument | None = Field(description="Why a failed job failed.")
    links: LinksDocument


class WebhookMessage(BaseModel):
    """The body of a webhook."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    type: str = Field(description="job.succeeded, job.failed or job.cancelled.")
    timestamp: datetime = Field(description="When the job ended.")
    data: EndedJobDocument

    @classmethod
    def of(cls, job: Job) -> Self:
        """What is told of a job that has ended."""
        error = None if job.error is None else {**job.error.document(), "instance": job.path}
        return cls.model_validate(
            {
                "type": f"job.{job.status}",
                "timestamp": job.finished_at,
                "data": {
                    "id": job.id,
                    "kind": job.kind,
                    "status": job.status,
                    "created_at": job.created_at,
                    "started_at": job.started_at,
                    "finished_at": job.finished_at,
                    "expires_at": job.expires_at,
                    "error": error,
                    "links": {"self": job.path, "events": f"{job.path}/events"},
                },
            }
        )

    def body(self) -> bytes:
        """The bytes that are signed and sent; the same each time."""
        return self.model_dump_json(by_alias=True).encode()


def message_id(job: Job) -> str:
    """What tells a message that comes again from another; a job ends once."""
    return f"msg_{job.id}"
