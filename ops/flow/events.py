"""Reads sample events from a file: JSON lines or an Avro file.

A line is the event's fields (times may be ISO 8601), or a raw record: `{"$value": BASE64 or null}`. Both take `"$key"` and `"$headers"`.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import numpy as np
import orjson
import pyarrow as pa

from ops.flow.csv_file import events, read_csv
from processors.flow.spec import FlowFile
from processors.step import Intake
from schemas.codecs.cloudevents import AVRO_ENVELOPE, JSON_ENVELOPE
from schemas.codecs.encodings import envelope
from schemas.codecs.layout import Layout
from schemas.codecs.single_object import SingleObject
from schemas.contracts import Contract
from schemas.errors import UsageError
from schemas.headers import CE_ID, CE_SOURCE, CE_SPECVERSION, CE_TYPE, CONTENT_TYPE, JSON, SPECVERSION
from schemas.positions import Source


class Sample(NamedTuple):
    """One record as it would stand on the input topic."""

    line: int  # of the file, from 1
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def is_csv(path: Path) -> bool:
    """Whether a file is read as CSV."""
    return path.suffix in (".csv", ".tsv") and not _is_avro(path)


def _is_avro(path: Path) -> bool:
    with path.open("rb") as start:
        return start.read(4) == b"Obj\x01"


def read_samples(path: Path, spec: FlowFile, contract: Contract) -> Sequence[Sample]:
    """All events of a file.

    Raises:
        UsageError: it can't be read; the sentence names file and line.
    """
    encode = _Encoder(spec, contract)
    try:
        lines = _avro_records(path) if _is_avro(path) else events(read_csv(path), contract) if is_csv(path) else _json_lines(path)
        found = []
        for number, event in lines:
            try:
                found.append(encode.sample(number, event))
            except (ValueError, binascii.Error) as error:
                raise UsageError(f"{path}:{number}: {error}", 'Write a record that is meant to be wrong as {"$value": BASE64}.') from error
        return found
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error


def intake(samples: Sequence[Sample], spec: FlowFile, now_ms: int) -> Intake:
    """The records as if they had been fetched from partition 0."""
    rows = len(samples)
    return Intake(
        sources=(Source(spec.input.topic, 0),),
        source=np.zeros(rows, np.int16),
        offset=np.arange(rows, dtype=np.int64),
        timestamp_ms=np.full(rows, now_ms, np.int64),
        keys=[sample.key for sample in samples],
        values=[sample.value for sample in samples],
        headers=[sample.headers for sample in samples] if spec.input.reads_headers else None,
        fetched_ms=now_ms,
    )


class _Encoder:
    """Writes events as the flow's input has them."""

    def __init__(self, spec: FlowFile, contract: Contract) -> None:
        self._spec = spec
        self._contract = contract
        self._binary = SingleObject(contract)
        self._fields = Layout.of(contract.parsed).fields
        around = envelope(spec.input.encoding)
        self._content_type = JSON if around is None else around.content_type

    def sample(self, line: int, event: Mapping[str, Any]) -> Sample:
        fields = {name: value for name, value in event.items() if not name.startswith("$")}
        told = {name: value for name, value in event.items() if name.startswith("$")}
        if unknown := told.keys() - {"$value", "$key", "$headers"}:
            raise ValueError(f"there is no `{min(unknown)}`; there are $value, $key and $headers")
        key = told.get("$key", fields.get(self._spec.input.id or ""))
        said: dict[str, bytes | None] = {str(name): str(text).encode() for name, text in told.get("$headers", {}).items()}
        if "$value" in told:
            raw = told["$value"]
            value = None if raw is None else base64.b64decode(raw, validate=True)
        else:
            if self._spec.input.encoding.startswith("cloudevents"):
                said = self._attributes(line, fields) | said
            value = self._value(fields, list(said.items()))
        return Sample(line, None if key is None else str(key).encode(), value, list(said.items()))

    def _attributes(self, line: int, fields: Mapping[str, Any]) -> dict[str, bytes | None]:
        """Those that a CloudEvent must have; its id is the column that the flow names, else the line."""
        told = {CE_SPECVERSION: SPECVERSION, CE_TYPE: self._contract.name, CE_SOURCE: "/samples", CONTENT_TYPE: self._content_type}
        own = str(fields.get(self._spec.input.id or "", line))
        return {name: text.encode() for name, text in {**told, CE_ID: own}.items()}

    def _value(self, fields: Mapping[str, Any], headers: Sequence[tuple[str, bytes | None]]) -> bytes:
        match self._spec.input.encoding:
            case "json" | "cloudevents":
                return orjson.dumps(fields)
            case "cloudevents-json":
                return JSON_ENVELOPE.around([orjson.dumps(fields)], [headers])[0]
            case "cloudevents-avro" if self._spec.input.data == "avro-single-object":
                return AVRO_ENVELOPE.around([self._binary.encode(self._datum(fields))], [headers])[0]
            case "avro-single-object":
                return self._binary.encode(self._datum(fields))
            case "avro-confluent" | "cloudevents-avro":
                raise ValueError("a registry gives the ids of this encoding: write the record as $value")

    def _datum(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """With defaults, and times as times."""
        datum = {field.name: field.default for field in self._fields if field.has_default} | dict(fields)
        for field in self._fields:
            value = datum.get(field.name)
            if pa.types.is_timestamp(field.kind.arrow) and isinstance(value, str):
                datum[field.name] = datetime.fromisoformat(value)
        return datum


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"{path}:{number}: this line is no JSON: {error}") from error
        if not isinstance(event, dict):
            raise UsageError(f"{path}:{number}: an event is a JSON object")
        yield number, event


def _avro_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open("rb") as file:
            for number, record in enumerate(fastavro.reader(file), 1):
                if not isinstance(record, dict):
                    raise UsageError(f"{path}:{number}: an event is a record")
                yield number, record
    except (ValueError, EOFError, KeyError, IndexError) as error:
        raise UsageError(f"{path} is a broken Avro file: {error}") from error
