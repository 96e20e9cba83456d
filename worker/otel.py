"""Spans by OpenTelemetry; imported by `worker.tracing` alone, and only when traces are asked for.

Conventions: everything is chosen by the standard variables (endpoint, headers, sampler, delays); only OTLP
over HTTP and the console are spoken. Exceptions are not recorded, for their messages may quote what was sent.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.tracing import Attributes, SpanKind

log = logging.getLogger(__name__)

STOP_S = 2.0

_KINDS: Mapping[SpanKind, OtelKind] = {
    "internal": OtelKind.INTERNAL,
    "server": OtelKind.SERVER,
    "producer": OtelKind.PRODUCER,
    "consumer": OtelKind.CONSUMER,
}
_EXPORTERS: Mapping[str, type[SpanExporter]] = {"otlp": OTLPSpanExporter, "console": ConsoleSpanExporter}


def open_tracer(service: str, environment: Mapping[str, str]) -> "OtelTracer":
    """A tracer as these variables want it."""
    is_named = "OTEL_SERVICE_NAME" in environment or SERVICE_NAME in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if is_named else {SERVICE_NAME: service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in (environment.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        exporter = _EXPORTERS.get(name.strip().lower())
        if exporter is None:
            log.warning(
                "no such exporter of traces", extra={"exporter": name.strip(), "available": list(_EXPORTERS)}
            )
        else:
            provider.add_span_processor(_processor(exporter()))
    return OtelTracer(provider)


def _processor(exporter: SpanExporter) -> SpanProcessor:
    return (
        SimpleSpanProcessor(exporter)
        if isinstance(exporter, ConsoleSpanExporter)
        else BatchSpanProcessor(exporter)
    )


class OtelTracer:
    """A tracer of this program's own, whatever else in the process uses OpenTelemetry."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("timbrescope")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, kind: SpanKind, parent: str, attributes: Attributes) -> "Iterator[OtelSpan]":
        """A span that lasts as long as its context; a `parent` that is no traceparent is left out."""
        context = self._propagator.extract({"traceparent": parent}) if parent else None
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as begun:
            span = OtelSpan(begun)
            try:
                yield span
            except Exception as error:
                span.blame(type(error).__name__)
                raise

    def current(self) -> str:
        """The traceparent of the current span."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def stop(self) -> None:
        """Exports what is left, if the collector takes it soon: nothing is to wait for one that is away."""
        export = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        export.start()
        export.join(STOP_S)


class OtelSpan:
    """A span of OpenTelemetry."""

    def __init__(self, begun: trace.Span) -> None:
        self._begun = begun

    def rename(self, name: str) -> None:
        """Calls it something else than it was called when it began."""
        self._begun.update_name(name)

    def tell(self, attributes: Attributes) -> None:
        """Adds what is known by now."""
        self._begun.set_attributes(attributes)

    def blame(self, error_type: str) -> None:
        """Says that it went wrong, and what kind of error it was."""
        self._begun.set_attribute("error.type", error_type)
        self._begun.set_status(Status(StatusCode.ERROR))
