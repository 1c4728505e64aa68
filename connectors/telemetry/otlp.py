"""Spans to a collector, by OpenTelemetry's own exporter: OTLP over HTTP. Whoever sends nothing to a collector doesn't import this.

Headers, certificates, compression and the time allowed are as OpenTelemetry's environment says (`OTEL_EXPORTER_OTLP_*`).
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk import resources
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from connectors.telemetry.span import SCOPE, Kind, Resource, Span
from schemas.errors import UnreachableError

PATH = "/v1/traces"
KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}
_SCOPE = InstrumentationScope(SCOPE)
_OK = Status(StatusCode.UNSET)


class OtlpExporter:
    """Sends to a collector at http://host:4318; an address with a path is taken as it is."""

    def __init__(self, address: str, resource: Resource) -> None:
        self._address = address if urlsplit(address).path.strip("/") else address.rstrip("/") + PATH
        self._resource = resources.Resource(dict(resource))
        self._exporter = OTLPSpanExporter(endpoint=self._address)

    def export(self, spans: Sequence[Span]) -> None:
        """See Exporter."""
        if self._exporter.export([readable(span, self._resource) for span in spans]) is not SpanExportResult.SUCCESS:
            raise UnreachableError(f"spans can't be sent to {self._address}", "see WEFT_TRACE_ENDPOINT")

    def close(self) -> None:
        """See Exporter."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def readable(span: Span, resource: resources.Resource) -> ReadableSpan:
    """A span as the SDK has them."""
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
        resource=resource,
        attributes=dict(span.attributes),
        links=[Link(_context(span.trace_id, span.link_id))] if span.link_id else [],
        kind=KINDS[span.kind],
        status=Status(StatusCode.ERROR, span.error) if span.error else _OK,
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
