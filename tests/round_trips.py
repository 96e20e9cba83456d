"""Counts how often this process waits for Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis.connection import AbstractConnection


@dataclass
class RoundTrips:
    """How many commands, or pipelines of commands, were sent by blocking clients."""

    n: int = 0


@contextmanager
def round_trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[RoundTrips]:
    """Counts while the context lasts, in all threads of this process."""
    found = RoundTrips()
    really: Any = AbstractConnection.send_packed_command

    def send(connection: AbstractConnection, command: Any, check_health: bool = True) -> None:
        found.n += 1
        really(connection, command, check_health)

    with monkeypatch.context() as patched:
        patched.setattr(AbstractConnection, "send_packed_command", send)
        yield found
