"""A pool process says that it is there and ready, from the moment that it is until it ends.

Conventions: each process speaks for itself, from a thread beside the work, so that Redis may go, come back or
lose everything in between. Its name is the machine's, its worker's process id and its own.
"""

import logging
import os
import platform
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from worker.atlases import AtlasDocuments
from worker.catalog import HEARTBEAT_S, Catalog, PublishedModel
from worker.connection import UNAVAILABLE

log = logging.getLogger(__name__)


def process_name() -> str:
    """The name of this pool process."""
    return f"{names_of_worker(os.getppid())}{os.getpid()}"


def names_of_worker(pid: int) -> str:
    """How the names of all processes begin that this machine's worker `pid` has started."""
    return f"{platform.node()}/{pid}/"


class Presence:
    """Announces a process again and again until it is stopped."""

    def __init__(
        self,
        catalog: Catalog,
        name: str,
        models: Sequence[PublishedModel],
        atlases: Sequence[AtlasDocuments] = (),
    ) -> None:
        self._catalog = catalog
        self._name = name
        self._models = models
        self._atlases = atlases
        self._since = datetime.now(UTC)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._announce, name="presence", daemon=True)

    def start(self) -> None:
        """Begins to announce."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, and takes the announcement back."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._catalog.withdraw(self._name)
        except UNAVAILABLE as error:
            log.warning("could not take the announcement back", extra={"error": str(error)})

    def _announce(self) -> None:
        while not self._stopped.is_set():
            try:
                self._catalog.announce(self._name, self._models, since=self._since)
                for atlas in self._atlases:
                    self._catalog.atlases.keep(atlas)
            except UNAVAILABLE as error:
                log.warning("could not announce this process", extra={"error": str(error)})
            self._stopped.wait(HEARTBEAT_S)
