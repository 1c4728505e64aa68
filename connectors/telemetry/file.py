"""Spans as lines of a file, each an OTLP/JSON `TracesData` as OpenTelemetry's file exporter writes it; bounded by rotation.

A collector reads such a file with its receiver `otlpjsonfile`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from connectors.telemetry.span import SCOPE, Resource, Span, Value
from schemas.errors import UnreachableError

BYTES = 16 << 20
"""Of the file; then it is moved to `<name>.1`, and what was there before is gone."""


class FileExporter:
    """Appends to a file that only its user may read."""

    def __init__(self, path: Path, resource: Resource, most_bytes: int = BYTES) -> None:
        self._path, self._most_bytes = path, most_bytes
        self._resource = orjson.Fragment(orjson.dumps({"attributes": _attributes(resource)}))

    def export(self, spans: Sequence[Span]) -> None:
        """See Exporter. One line."""
        scoped = {"scope": {"name": SCOPE}, "spans": [_encoded(span) for span in spans]}
        line = orjson.dumps({"resourceSpans": [{"resource": self._resource, "scopeSpans": [scoped]}]}, option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._rotate(len(line))
            if not self._path.exists():
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch(0o600)
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            raise UnreachableError(f"spans can't be written to {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """See Exporter. It is open only while it is written to."""

    def _rotate(self, more_bytes: int) -> None:
        if self._path.exists() and self._path.stat().st_size + more_bytes > self._most_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))


def _encoded(span: Span) -> Mapping[str, object]:
    told: dict[str, object] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": span.kind.value,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        "flags": 1,  # sampled
    }
    if span.link_id:
        told["links"] = [{"traceId": span.trace_id, "spanId": span.link_id}]
    if span.error:
        told["status"] = {"code": 2, "message": span.error}
    return told


def _attributes(given: Mapping[str, Value]) -> list[Mapping[str, object]]:
    return [{"key": key, "value": _value(value)} for key, value in given.items()]


def _value(value: Value) -> Mapping[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
