"""What the API description says of webhooks, which are requests that the service makes."""

from typing import Annotated

from fastapi import FastAPI, Header
from starlette.responses import Response

from service.webhooks.message import WebhookMessage


def describe_webhooks(app: FastAPI) -> None:
    """Adds them to the description of the application."""
    app.webhooks.post(
        "job-ended",
        operation_id="job_ended",
        tags=["jobs"],
        status_code=204,
        response_class=Response,
        response_description="The receiver has heard of it: any 2xx says so",
        summary="A job has ended",
    )(job_ended)


def job_ended(
    body: WebhookMessage,
    webhook_id: Annotated[str, Header(description="The same each time that this is told.")],
    webhook_timestamp: Annotated[int, Header(description="When it was sent, in seconds since 1970.")],
    webhook_signature: Annotated[
        str, Header(description="`v1,` and the Base64 of an HMAC-SHA256 over `id.timestamp.body`.")
    ],
) -> None:
    """Sent to the `webhook` of a request when its job has ended, signed as the Standard Webhooks
    specification says.

    Answer 2xx within ten seconds. Other answers are tried again, up to eight times in about an hour; 410 ends
    it. It may come more than once: `webhook-id` tells.
    """
