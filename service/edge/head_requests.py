"""HEAD: what GET would answer, without its content.

Conventions: every path that takes GET takes HEAD. A route that need not make the content asks `is_head`; a
stream ends with its head.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """Turns HEAD into GET for what is below, and leaves out what it sends after the head."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        is_answered = False

        async def receive_until_answered() -> Message:
            if is_answered:  # so that a stream is told to stop
                return {"type": "http.disconnect"}
            return await receive()

        async def send_head(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                is_answered = True

        # In place, because those above look here for the route that was taken.
        scope["method"] = "GET"
        scope.setdefault("state", {})["is_head"] = True
        try:
            await self._app(scope, receive_until_answered, send_head)
        finally:
            scope["method"] = "HEAD"


def is_head(request: Request) -> bool:
    """Whether only the answer's head is wanted."""
    return bool(getattr(request.state, "is_head", False))
