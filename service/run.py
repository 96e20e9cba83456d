"""Starts the API: one process, until SIGTERM or SIGINT.

Conventions: once told to stop, those who wait for a job are answered with what there is, event streams end
(and browsers come back), and every other open request is given `shutdown_grace_s`.
"""

import logging
import resource
import signal
import sys
from types import FrameType

import uvicorn

from service.app import create_app
from service.edge.protocol import EdgeConfig
from service.settings import ServiceSettings
from worker import tracing
from worker.logs import configure_logging
from worker.memory import made_to_stay, return_large_blocks

log = logging.getLogger(__name__)

# Besides connections: to Redis, of uploads, to the processes that look at them.
OTHER_FILES = 512


def main(settings: ServiceSettings) -> None:
    """Answers requests until told to stop."""
    configure_logging(settings.log_level, settings.log_format)
    make_room_for(settings.max_connections)
    return_large_blocks()
    # uvicorn raises the signal that stopped it once more when it has; being told to stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    tracing.start("timbrescope-api")
    try:
        with made_to_stay():
            server = Server(settings)
        server.run()
    finally:
        tracing.stop()


def make_room_for(n_connections: int) -> None:
    """Lets this process have as many files open as it needs, as far as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n_connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning(
            "fewer connections than TIMBRESCOPE_MAX_CONNECTIONS can be open: too few open files are allowed",
            extra={"allowed_files": allowed, "max_connections": n_connections},
        )


class Server(uvicorn.Server):
    """The application under uvicorn; nobody waits for a job while the server itself is waited for."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._app = create_app(settings)
        super().__init__(
            EdgeConfig(
                self._app,
                settings,
                host=settings.host,
                port=settings.port,
                log_config=None,
                log_level=settings.log_level.lower(),
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=settings.shutdown_grace_s,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by a signal that asks to stop."""
        super().handle_exit(sig, frame)
        if self.started:
            self._app.state.services.feed.stop()


if __name__ == "__main__":
    main(ServiceSettings())
