"""How long a request's body may take to arrive.

Conventions: only the time counts in which the service waits for the client, not that in which it works. Once
the body is whole, waiting for more (a stream does, to hear that its client has left) is not bounded.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import RefusedWhileReading
from worker.request_errors import UploadTimedOutError


class Patience:
    """Bounds the pauses and the whole time of every body, whoever reads it."""

    def __init__(self, app: ASGIApp, idle_s: float, in_all_s: float) -> None:
        self._app = app
        self._idle_s = idle_s
        self._in_all_s = in_all_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with a body that does not come for ever."""
        if scope["type"] == "http":
            receive = _TimedBody(receive, self._idle_s, self._in_all_s).receive
        await self._app(scope, receive, send)


class _TimedBody:
    def __init__(self, receive: Receive, idle_s: float, in_all_s: float) -> None:
        self._receive = receive
        self._idle_s = idle_s
        self._left_s = in_all_s
        self._in_all_s = in_all_s
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            async with asyncio.timeout(min(self._idle_s, self._left_s)):
                message = await self._receive()
        except TimeoutError as error:
            raise RefusedWhileReading(self._refusal()) from error
        self._left_s -= loop.time() - asked_at
        self._is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def _refusal(self) -> UploadTimedOutError:
        if self._left_s <= self._idle_s:
            return UploadTimedOutError(f"The body was not whole after waiting {self._in_all_s:g} s for it.")
        return UploadTimedOutError(f"Nothing of the body arrived for {self._idle_s:g} s.")
