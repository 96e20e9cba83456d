"""Waiting for the reference of a concept to be rendered by a worker.

Conventions: what is there is answered at once; else one of all who wait asks a worker, and all look for it
every `POLL_S`. After `LONGEST_WAIT_S` the client is told to come again: what it wants is still being made. So
is, at once, who wants something else than the few references that workers are asked for already.
"""

import asyncio
import time

from starlette.concurrency import run_in_threadpool

from service.services import Services
from worker.errors import NoWorkerError, StillRenderingError
from worker.problems import Problem
from worker.references import Reference, References, Rendered

POLL_S = 0.05
LONGEST_WAIT_S = 15.0


async def rendered(services: Services, wanted: Reference) -> Rendered | Problem:
    """The reference, or what went wrong with it.

    Raises
    ------
    StillRenderingError, ReferencesWaitError, NoWorkerError
        When no worker has rendered it in time, too many others wait to be, or no worker is there.
    """
    references = References(services.redis)
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        found = await run_in_threadpool(_find_or_ask, services, references, wanted)
        if found is not None:
            return found
        await asyncio.sleep(POLL_S)
    raise StillRenderingError(
        f"Reference {wanted.place} of channel {wanted.channel} of {wanted.layer} is still being rendered; "
        "try again in a moment."
    )


def _find_or_ask(services: Services, references: References, wanted: Reference) -> Rendered | Problem | None:
    found = references.find(wanted)
    if found is None:
        if not services.catalog.workers():
            raise NoWorkerError("No worker is ready at the moment.")
        if references.ask(wanted):
            services.queue.send_reference(wanted)
    return found
