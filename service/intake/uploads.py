"""Taking recordings in: the bounds that hold while a body is still being read.

Conventions: a body is refused by its head where that is enough (not a form, too long, from somebody who may
not send it), else as soon as it has exceeded the bound; it never gathers unbounded. How many are read at once
is for `service.intake.upload_places`, how long one may take for `service.edge.body_timeouts`. The forms'
fields are in `service.intake.forms`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.responses import Response
from starlette.types import Message, Receive

from ml.errors import InvalidRequestError, TimbrescopeError
from ml.media import TooManyBytesError, UnsupportedMediaError
from service.errors import RefusedWhileReading
from service.rates import require_leave_to_send
from service.settings import ServiceSettings

# What a form may hold besides the recording: boundaries, part headers and all other fields.
FORM_OVERHEAD_BYTES = 256 * 1024
# A client that is still sending when it is refused would miss the answer if the connection closed under
# it, so for a moment what it sends is read and dropped.
DRAIN_S = 1.0
# How the framework begins what it says of a form that is whole, but has more parts than were allowed it.
_TOO_MANY = "Too many "


class UploadRoute(APIRoute):
    """A route whose body is a form with recordings, in all no larger than `max_upload_bytes`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, behind the bounds."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            services = request.app.state.services
            try:
                await require_leave_to_send(request, services)
                _require_form(request)
            except TimbrescopeError:
                await _drain(request)
                raise
            bounded = _BoundedBody(request.receive, self.most_bytes(services.settings))
            within = Request(request.scope, bounded.receive)
            place = request.app.state.upload_places.take(within)
            try:
                bounded.require_declared(request)
                return await handle(within)
            except RefusedWhileReading as error:
                if isinstance(error.reason, TooManyBytesError):
                    await _drain(request)
                raise
            except HTTPException as error:
                if isinstance(error.__context__, MultiPartException) and error.detail.startswith(_TOO_MANY):
                    await _drain(request)
                    raise InvalidRequestError(error.detail) from error
                raise
            finally:
                await place.leave()

        return handle_bounded

    @staticmethod
    def most_bytes(settings: ServiceSettings) -> int:
        """How large the form may be, besides what every form holds."""
        return settings.max_upload_bytes


class ManyUploadsRoute(UploadRoute):
    """A route whose body is a form with many recordings, each no larger than `max_upload_bytes` and in all no
    larger than `max_request_bytes`.
    """

    @staticmethod
    def most_bytes(settings: ServiceSettings) -> int:
        """How large the form may be, besides what every form holds."""
        return max(settings.max_request_bytes, settings.max_upload_bytes)


class _BoundedBody:
    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._left = max_bytes + FORM_OVERHEAD_BYTES

    def require_declared(self, request: Request) -> None:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._left:
            raise self._refusal()

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._refusal()
        return message

    def _refusal(self) -> RefusedWhileReading:
        return RefusedWhileReading(
            TooManyBytesError(
                f"The request is larger than it may be; the limit is {self._max_bytes} bytes.",
                extra={"max_bytes": self._max_bytes},
            )
        )


def _require_form(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise UnsupportedMediaError(
            f"The body has to be multipart/form-data, a part for each field, not {media_type[:60]!r}."
        )


async def _drain(request: Request) -> None:
    if "expect" in request.headers:
        return  # it sends nothing before it is told to go on, which it would be by being read
    try:
        async with asyncio.timeout(DRAIN_S):
            while (message := await request.receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        return
