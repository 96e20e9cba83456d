"""Server-sent events, as the HTML standard defines them: how a job's events look on the wire.

Conventions: events are named `job`; their ids are those of the job's stream in Redis, so that a browser
which lost the connection goes on where it was by sending the last one. An event without id (only the place
in the queue changed) leaves the browser's last id as it was. A comment now and then keeps proxies from
closing a quiet stream.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, suppress
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from worker.connection import UNAVAILABLE
from worker.feed import FROM_START, JobEvent, is_entry

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


class EventStream(StreamingResponse):
    """An answer that goes on until the events end or Redis goes away; the browser then comes back by
    itself. It has its `place` from its head to its end.
    """

    def __init__(self, events: AsyncGenerator[str, None], place: AbstractContextManager[None]) -> None:
        self._place = place
        super().__init__(
            _kept_alive(events),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it; raises what the place raises before anything is sent."""
        with self._place:
            await super().__call__(scope, receive, send)


def encode(event: JobEvent) -> str:
    """The event on the wire."""
    progress = {**event.progress.document(), "queue_position": event.queue_position}
    data = json.dumps({"id": event.job_id, "status": event.status, "progress": progress})
    head = "" if event.id is None else f"id: {event.id}\n"
    return f"{head}event: job\ndata: {data}\n\n"


def entry_after(last_event_id: str | None) -> str:
    """The stream entry to go on from; from the start when the header is missing or is none of ours."""
    return last_event_id if last_event_id and is_entry(last_event_id) else FROM_START


async def _kept_alive(events: AsyncGenerator[str, None]) -> AsyncIterator[str]:
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
        await events.aclose()
