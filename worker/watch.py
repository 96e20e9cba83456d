"""Watching streams in Redis for entries that are added, all of them over one connection.

Conventions: a stream that somebody watches is read from the position that its first watcher names. Watchers
are told that there is news, not what: each then reads for itself. One who hears nothing looks for itself now
and then, because while Redis is away nobody is told anything.
"""

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import redis.asyncio

from worker.connection import UNAVAILABLE

log = logging.getLogger(__name__)

# How long one look waits for news. A stream that begins to be watched meanwhile is part of the next look.
LOOK_S = 0.1
_AWAY_S = 0.5
_MOST_ENTRIES = 100


@dataclass
class _Stream:
    last_entry: str
    watchers: set[asyncio.Event] = field(default_factory=set)


class Watch:
    """All the streams that somebody watches, within one event loop."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._streams: dict[str, _Stream] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def on(self, name: str, after: str) -> Iterator[asyncio.Event]:
        """Watches a stream; the event is set when it has grown, for the watcher to clear before it reads."""
        stream = self._streams.setdefault(name, _Stream(after))
        grown = asyncio.Event()
        stream.watchers.add(grown)
        if self._looking is None or self._looking.done():
            # Whoever comes first is not whom the others' news is about.
            self._looking = asyncio.create_task(self._look_on(), context=contextvars.Context())
        try:
            yield grown
        finally:
            stream.watchers.discard(grown)
            if not stream.watchers and self._streams.get(name) is stream:
                del self._streams[name]

    async def close(self) -> None:
        """Ends all watching."""
        self._streams.clear()
        if self._looking is not None:
            await self._looking

    async def _look_on(self) -> None:
        while self._streams:
            try:
                await self._look()
            except UNAVAILABLE as error:
                log.warning("could not look for news of jobs", extra={"error": repr(error)})
                await asyncio.sleep(_AWAY_S)

    async def _look(self) -> None:
        positions: Any = {name: stream.last_entry for name, stream in self._streams.items()}
        found = await self._redis.xread(positions, count=_MOST_ENTRIES, block=round(LOOK_S * 1000))
        for name, entries in cast(list[tuple[bytes, list[tuple[bytes, object]]]], found):
            stream = self._streams.get(name.decode())
            if stream is not None:
                stream.last_entry = entries[-1][0].decode()
                for grown in stream.watchers:
                    grown.set()
