"""The shape of the answer to several recordings at once.

Conventions as in `service.documents.schemas`.
"""

from pydantic import BaseModel, Field

from service.documents.order_schemas import optional
from service.documents.schemas import JobDocument, ProblemDocument


class BatchEntryDocument(BaseModel):
    """What became of one file: it has a job, or a problem."""

    filename: str = Field(description="As it was sent, without its path.")
    job: JobDocument | None = optional("The file's job.")
    problem: ProblemDocument | None = optional("Why the file was refused.")


class BatchDocument(BaseModel):
    """What became of each file, in the order in which they were sent."""

    jobs: list[BatchEntryDocument]
