"""Faults of this program become answers like all others, and one line in the log that names the request.

Conventions: it stands within whatever names requests and adds headers, so that both hold for such answers.
"""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import problem_response
from worker.errors import InternalError
from worker.problems import problem_of

log = logging.getLogger(__name__)


class Faults:
    """Answers for the application when it fails."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; what has begun to be answered can only be broken off."""
        has_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except ClientDisconnect:
            log.info("the client left before its request was whole")
        except Exception:
            if scope["type"] != "http":
                raise
            log.exception("fault in a request")
            if has_begun:
                raise
            fault = problem_response(problem_of(InternalError("A fault in the service; its log says more.")))
            await fault(scope, receive, send)
