"""Traces of requests and jobs across the queue, for whoever runs an OpenTelemetry collector.

Conventions: a span lasts as long as its context; spans that begin meanwhile, in threads of a pool as well,
are its children. What goes through the queue takes its parent along as a W3C `traceparent`. Nothing is
exported, and no exporter imported, unless the extra `otel` is installed and the standard `OTEL_*` variables
ask for it. Spans hold no file content, no names of files, no keys and no query strings.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

log = logging.getLogger(__name__)

SpanKind = Literal["internal", "server", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

_ASKS_FOR_TRACES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)


class Span(Protocol):
    """What is going on, as its trace will tell it."""

    def rename(self, name: str) -> None:
        """Calls it something else than it was called when it began."""

    def tell(self, attributes: Attributes) -> None:
        """Adds what is known by now."""

    def blame(self, error_type: str) -> None:
        """Says that it went wrong, and what kind of error it was."""


class Tracer(Protocol):
    """Makes spans and exports them."""

    def span(
        self, name: str, kind: SpanKind, parent: str, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """A span that lasts as long as its context; `parent` is a traceparent, empty for the current span."""

    def current(self) -> str:
        """The traceparent of the current span."""

    def stop(self) -> None:
        """Exports what is left and ends."""


class _NoSpan:
    def rename(self, name: str) -> None:
        pass

    def tell(self, attributes: Attributes) -> None:
        pass

    def blame(self, error_type: str) -> None:
        pass


_NO_SPAN = _NoSpan()
# The tracer of this process, or none.
_tracers: list[Tracer] = []


def start(service: str) -> None:
    """Begins to trace this process, if the environment asks for it; `service` is what it is called there."""
    if _tracers or not is_asked_for(os.environ):
        return
    try:
        from worker.otel import open_tracer
    except ModuleNotFoundError as error:
        log.warning(
            "traces are asked for, but OpenTelemetry is not installed: pip install 'timbrescope[otel]'",
            extra={"missing": error.name},
        )
        return
    _tracers.append(open_tracer(service, os.environ))
    log.info("traces are exported", extra={"service": service})


def stop() -> None:
    """Exports what is left of this process."""
    while _tracers:
        _tracers.pop().stop()


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces."""
    is_off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    is_none = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return not is_off and not is_none and any(environment.get(name) for name in _ASKS_FOR_TRACES)


@contextmanager
def span(
    name: str, kind: SpanKind = "internal", *, parent: str = "", attributes: Attributes | None = None
) -> Iterator[Span]:
    """A span that lasts as long as its context; `parent` is a traceparent, empty for the current span."""
    if not _tracers:
        yield _NO_SPAN
        return
    with _tracers[0].span(name, kind, parent, attributes or {}) as begun:
        yield begun


def current() -> str:
    """The W3C traceparent of the current span, for whoever continues it elsewhere; empty without one."""
    return _tracers[0].current() if _tracers else ""
