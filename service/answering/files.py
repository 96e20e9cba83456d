"""Files as answers: whole or in part, or only that a client's copy is still the same.

Conventions: a file is described before any of its bytes are fetched, and these are fetched a piece at a time,
so that a large file, or a client that reads slowly, costs no more memory than a piece.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.answering.etag import matches, strong_etag
from service.answering.ranges import UNIT, Part, beyond, part_wanted
from service.documents.documentation import Responses, raw_answer
from service.edge.head_requests import is_head
from service.errors import error_response
from worker.request_errors import RangeNotSatisfiableError

PIECE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Wanted:
    """What the headers of a request say about the file that they ask for."""

    is_head: bool
    if_none_match: str | None
    range: str | None
    if_range: str | None


def _wanted(
    request: Request,
    if_none_match: Annotated[str | None, Header(description="ETags of copies that the client has.")] = None,
    range: Annotated[
        str | None,
        Header(description="Which part: `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LAST_BYTES`."),
    ] = None,
    if_range: Annotated[
        str | None, Header(description="The part only if the file still has this ETag; else all of it.")
    ] = None,
) -> Wanted:
    return Wanted(is_head(request), if_none_match, range, if_range)


# The dependency that a route with files has.
FileWanted = Annotated[Wanted, Depends(_wanted)]


@dataclass(frozen=True)
class File:
    """A file that can be fetched; `read` gets its bytes from a place on and before another, and may block."""

    media_type: str
    size_bytes: int
    sha256: str
    read: Callable[[int, int], bytes]
    name: str | None = None


def file_answer(wanted: Wanted, file: File) -> Response:
    """The file, the part of it that is wanted, or that there is nothing new. Blocking, for threads."""
    headers = {
        "ETag": strong_etag(file.sha256),
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": UNIT,
    }
    if matches(wanted.if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if file.name is not None:
        headers["Content-Disposition"] = f'inline; filename="{file.name}"'
    # A range means something with GET only.
    asked = None if wanted.is_head else wanted.range
    try:
        part = part_wanted(asked, wanted.if_range, headers["ETag"], file.size_bytes)
    except RangeNotSatisfiableError as error:
        refusal = error_response(error)
        refusal.headers["Content-Range"] = beyond(file.size_bytes)
        return refusal
    status = 200
    if part is None:
        part = Part(0, file.size_bytes)
    else:
        status = 206
        headers["Content-Range"] = part.content_range(file.size_bytes)
    headers["Content-Length"] = str(part.n_bytes)
    if wanted.is_head:
        return Response(media_type=file.media_type, headers=headers)
    first = Part(part.start, min(part.start + PIECE_BYTES, part.end))
    content = file.read(first.start, first.end)  # what has gone meanwhile can still be answered as a problem
    if first == part:
        return Response(content, status, headers, file.media_type)
    return StreamingResponse(
        _pieces(file, part, content), status_code=status, media_type=file.media_type, headers=headers
    )


def file_answers(media_types: dict[str, str | None], description: str = "The file") -> Responses:
    """What `file_answer` may answer, for the API description; media types with an example or None."""
    etag = {"ETag": "Strong: the SHA-256 of the content."}
    ranges = {**etag, "Content-Range": "Which bytes of how many these are."}
    return {
        200: raw_answer(description, dict(media_types), {**etag, "Accept-Ranges": "`bytes`"}),
        206: raw_answer("The part that was asked for", dict(media_types), ranges),
        304: {"description": "The client's copy is the same"},
    }


async def _pieces(file: File, part: Part, first: bytes) -> AsyncIterator[bytes]:
    yield first
    for start in range(part.start + PIECE_BYTES, part.end, PIECE_BYTES):
        yield await run_in_threadpool(file.read, start, min(start + PIECE_BYTES, part.end))
