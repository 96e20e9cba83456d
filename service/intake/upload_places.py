"""How many uploads are taken in at once: each costs memory and a temporary file from its first byte until its
job is stored.

Conventions: one process, one event loop, so counting needs no lock. What works with the bytes of an upload is
called by `with_upload`, in threads that are few, so that few recordings are in memory, and not those of other
calls, so that these are answered meanwhile. Who would wait for a job to end leaves the place first.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from fastapi import Request

from worker.request_errors import TooManyUploadsError

# Each may hold a whole recording; looking at recordings is bounded by the processors anyway.
MOST_IN_MEMORY = 8

Args = ParamSpec("Args")
Result = TypeVar("Result")

_PLACE: "ContextVar[UploadPlace | None]" = ContextVar("upload_place", default=None)


class UploadPlaces:
    """The places that there are."""

    def __init__(self, n_places: int) -> None:
        self._n_places = n_places
        self._n_taken = 0
        self.threads = anyio.CapacityLimiter(MOST_IN_MEMORY)

    def take(self, request: Request) -> "UploadPlace":
        """A place for this request.

        Raises
        ------
        TooManyUploadsError
            When all are taken.
        """
        if self._n_taken >= self._n_places:
            raise TooManyUploadsError(
                f"{self._n_taken} uploads are being taken in already; try again in a moment."
            )
        self._n_taken += 1
        place = UploadPlace(self, request)
        _PLACE.set(place)
        return place

    def give_back(self) -> None:
        """Called by a place that is left."""
        self._n_taken -= 1


class UploadPlace:
    """The place of one request."""

    def __init__(self, places: UploadPlaces, request: Request) -> None:
        self._places = places
        self._request = request
        self._is_taken = True

    @property
    def threads(self) -> anyio.CapacityLimiter:
        """Those that work with uploads."""
        return self._places.threads

    async def leave(self) -> None:
        """Drops what the form holds and makes room for another; may be called again."""
        if self._is_taken:
            self._is_taken = False
            self._places.give_back()
            await self._request.close()


async def with_upload(call: Callable[Args, Result], *args: Args.args, **more: Args.kwargs) -> Result:
    """Calls what reads the present request's upload, in a thread for that."""
    place = _PLACE.get()
    limiter = None if place is None else place.threads
    return await anyio.to_thread.run_sync(partial(call, *args, **more), limiter=limiter)


async def leave_upload_place() -> None:
    """Says that the present request needs the bytes of its upload no more, where it has any."""
    place = _PLACE.get()
    if place is not None:
        await place.leave()
