"""Taking a recording in: the forms' fields, and the bounds that hold while a body is still being read.

Conventions: a body is refused by its head where that is enough (not a form, too long), else as soon as it
has exceeded the bound; it never gathers unbounded. Fields that do not exist, or are given twice where one
value is meant, are refused, so that a misspelt name does not silently do nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, TypedDict

from fastapi import Request, UploadFile
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive

from ml.errors import InvalidRequestError
from ml.media import TooManyBytesError, UnsupportedMediaError
from worker.questions import DEFAULT_CONCEPTS, LONGEST_EXPLAINED_S, MAX_CONCEPTS

# What a form may hold besides the recording: boundaries, part headers and all other fields.
FORM_OVERHEAD_BYTES = 256 * 1024
# A client that is still sending when it is refused would miss the answer if the connection closed under
# it, so for a moment what it sends is read and dropped.
DRAIN_S = 1.0


class FormLimits(TypedDict, total=False):
    """Bounds of the parts of a form."""

    max_files: int
    max_fields: int
    max_part_size: int


FORM_LIMITS: FormLimits = {"max_files": 1, "max_fields": 200, "max_part_size": 4096}

_REPEATABLE = frozenset({"instruments"})

Seconds = Annotated[float, Field(allow_inf_nan=False)]


class ClassifyForm(BaseModel):
    """The fields of `POST /classify`."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="WAV (PCM or float), FLAC, OGG, MP3, AIFF, or a Standard MIDI File.")
    model: Annotated[str | None, Field(max_length=200)] = Field(
        None, description="A model of `GET /models`; by default the default model.", examples=["default"]
    )
    threshold: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        None,
        description="From which probability on an instrument is present; by default the model's own.",
        examples=[0.5],
    )


class ExplainForm(ClassifyForm):
    """The fields of `POST /explain`."""

    instruments: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]] | None, Field(max_length=128)
    ] = Field(
        None,
        description="What to explain, found or not; repeatable. By default every instrument found.",
        examples=[["Violin"]],
    )
    concepts: Annotated[int, Field(ge=0, le=MAX_CONCEPTS)] = Field(
        DEFAULT_CONCEPTS, description="How many concepts per instrument.", examples=[DEFAULT_CONCEPTS]
    )
    start_s: Annotated[Seconds | None, Field(ge=0)] = Field(
        None,
        description=f"Where to begin; needed, with `duration_s`, beyond {LONGEST_EXPLAINED_S:g} s.",
        examples=[0.0],
    )
    duration_s: Annotated[Seconds | None, Field(gt=0, le=LONGEST_EXPLAINED_S)] = Field(
        None, description="How much to explain.", examples=[5.0]
    )
    engine: Literal["direct", "zennit"] | None = Field(
        None,
        description="What computes the maps: our own engine, or zennit-crp, slower, with the same numbers. "
        "By default the direct one where it covers the model's network.",
        examples=["direct"],
    )


async def refuse_repeated_fields(request: Request) -> None:
    """A dependency: refuses a field that is given twice where one value is meant."""
    names = [name for name, _ in (await request.form()).multi_items()]
    repeated = sorted({name for name in names if names.count(name) > 1} - _REPEATABLE)
    if repeated:
        faults = [{"field": name, "message": "This field can be given once only"} for name in repeated]
        sentence = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
        raise InvalidRequestError(f"{sentence}.", extra={"errors": faults})


class UploadRoute(APIRoute):
    """A route whose body is a form with a recording, bounded by `max_upload_bytes`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, behind the bounds."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            max_bytes: int = request.app.state.services.settings.max_upload_bytes
            try:
                _require_form(request)
            except UnsupportedMediaError:
                await _drain(request.receive)
                raise
            try:
                bounded = _BoundedBody(request.receive, max_bytes, _declared_bytes(request))
                return await handle(Request(request.scope, bounded.receive))
            except _BodyTooLarge as error:
                await _drain(request.receive)
                raise error.reason from error

        return handle_bounded


class _BodyTooLarge(HTTPException):
    # Of this type, because the framework turns everything else that is raised while it reads a form into
    # "400".
    def __init__(self, max_bytes: int) -> None:
        super().__init__(413)
        self.reason = TooManyBytesError(
            f"The request is larger than a recording may be; the limit is {max_bytes} bytes.",
            extra={"max_bytes": max_bytes},
        )


class _BoundedBody:
    def __init__(self, receive: Receive, max_bytes: int, declared_bytes: int | None) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._left = max_bytes + FORM_OVERHEAD_BYTES
        if declared_bytes is not None and declared_bytes > self._left:
            raise _BodyTooLarge(max_bytes)

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _BodyTooLarge(self._max_bytes)
        return message


def _require_form(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise UnsupportedMediaError(
            f"The body has to be multipart/form-data with a part named 'file', not {media_type[:60]!r}."
        )


def _declared_bytes(request: Request) -> int | None:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else None


async def _drain(receive: Receive) -> None:
    try:
        async with asyncio.timeout(DRAIN_S):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        return
