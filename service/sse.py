"""Server-sent events, as the HTML standard defines them: how a job's events look on the wire.

Conventions: events are named `job`; their ids are those of the job's stream in Redis, so that a browser
which lost the connection goes on where it was by sending the last one. An event without id (only the place
in the queue changed) leaves the browser's last id as it was. A comment now and then keeps proxies from
closing a quiet stream.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.responses import StreamingResponse

from worker.connection import UNAVAILABLE
from worker.feed import FROM_START, JobEvent

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0

# Each event, for the API description, which knows no other way to tell of streams.
EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream.",
    "properties": {
        "id": {"type": "string", "description": "Its place in the stream; absent when only the queue moved."},
        "event": {"const": "job"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/JobEventDocument"},
        },
    },
    "required": ["event", "data"],
}

_ENTRY = re.compile(r"\d{1,20}-\d{1,20}")


class EventStream(StreamingResponse):
    """An answer that goes on until the events end or Redis goes away; the browser then comes back by
    itself.
    """

    def __init__(self, events: AsyncIterator[str]) -> None:
        super().__init__(
            _kept_alive(events),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )


def encode(event: JobEvent) -> str:
    """The event on the wire."""
    progress = {**event.progress.document(), "queue_position": event.queue_position}
    data = json.dumps({"id": event.job_id, "status": event.status, "progress": progress})
    head = "" if event.id is None else f"id: {event.id}\n"
    return f"{head}event: job\ndata: {data}\n\n"


def entry_after(last_event_id: str | None) -> str:
    """The stream entry to go on from; from the start when the header is missing or is none of ours."""
    return last_event_id if last_event_id and _ENTRY.fullmatch(last_event_id) else FROM_START


async def _kept_alive(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """The events, with comments in long silences. One pending read is kept across them, never cancelled
    midway.
    """
    reading: asyncio.Future[str] | None = None
    try:
        while True:
            reading = reading or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({reading}, timeout=KEEP_ALIVE_S)
            if not done:
                yield ": still here\n\n"
                continue
            yield reading.result()
            reading = None
    except StopAsyncIteration:
        return
    except UNAVAILABLE as error:
        log.warning("an event stream ended early", extra={"error": repr(error)})
    finally:
        if reading is not None and not reading.done():
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
