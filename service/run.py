"""Starts the API: one process, until SIGTERM or SIGINT.

Conventions: open requests are given `shutdown_grace_s` to end; event streams are cut then, and browsers
come back.
"""

import signal
import sys

import uvicorn

from service.app import create_app
from service.settings import ServiceSettings
from worker.logs import configure_logging


def main(settings: ServiceSettings) -> None:
    """Answers requests until told to stop."""
    configure_logging(settings.log_level)
    # uvicorn raises the signal that stopped it once more when it has; being told to stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(configuration(settings)).run()


def configuration(settings: ServiceSettings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level=settings.log_level.lower(),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
    )


if __name__ == "__main__":
    main(ServiceSettings())
