"""Reads what was written with one schema as if it had been written with another (Avro 1.11, "Schema Resolution").

Fields are matched by name or by the reader's aliases; numbers are widened, missing fields get the reader's default: all on whole
columns. What that can't do (other symbols of an enum, records inside that differ, a writer's union of several types) the reference does,
row by row. Logical types must be the same or stand on one side only: a millisecond is no microsecond.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError

from schemas.codecs.avro_columns import AvroDecoder
from schemas.codecs.avro_strict import Strict
from schemas.codecs.casting import meaning
from schemas.codecs.decoder import Bad, Decoded, Decoder, joined
from schemas.codecs.frame import Frame
from schemas.codecs.layout import Field, Layout, require_bounded
from schemas.compatibility import breaks
from schemas.contracts import Contract
from schemas.vocabulary import Reason

_WIDER: Final = {
    ("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"), ("float", "double"), ("bytes", "string"),
    ("string", "bytes"),
}  # fmt: skip

Column = Callable[[pa.RecordBatch], pa.Array]


class WholeDecoder(Decoder, Protocol):
    """A decoder that can say quickly whether all is well."""

    def whole(self, values: Sequence[bytes]) -> pa.RecordBatch | None:
        """The columns of n values; None if any of them is not plainly good."""


def resolving(writer: Contract, reader: Contract, frame: Frame) -> WholeDecoder:
    """A decoder of the writer's values into the reader's columns.

    Raises:
        ValueError: nothing that is written can be read so, or a field has no column type.
    """
    ours = Layout.of(reader.schema)
    broken = _broken(writer, reader)
    try:
        theirs = Layout.of(writer.schema)
    except ValueError:  # the writer has fields that are no columns
        require_bounded(writer.schema)
        return _Resolving(writer, reader, frame)
    if writer.fingerprint == reader.fingerprint and ours.arrow.equals(theirs.arrow):
        return AvroDecoder(reader.schema, frame)
    plan = [_column(field, theirs, field.name in broken) for field in ours.fields]
    columns = [column for column in plan if column is not None]
    if len(columns) == len(plan):
        return _Projecting(AvroDecoder(writer.schema, frame), ours, columns)
    return _Resolving(writer, reader, frame)


def _broken(writer: Contract, reader: Contract) -> frozenset[str]:
    """The reader's fields in which not every value of the writer's can be read.

    Raises:
        ValueError: a logical type differs, or a field is neither written nor has a default: no value can.
    """
    found = breaks(writer, reader)
    for one in found:
        if one.kind == "logical":
            raise ValueError(f"field {one.path}: written as {one.writer}, read as {one.reader}")
        if one.kind == "no-default" and re.fullmatch(r"\w+", one.path):
            raise ValueError(f"field {one.path}: it is not written, and has no default")
    return frozenset(re.split(r"[.\[{]", one.path, maxsplit=1)[0] for one in found)


def _column(field: Field, theirs: Layout, broken: bool) -> Column | None:
    """How to make a column of the reader's from the writer's; None if the reference must."""
    at = next((at for name in (field.name, *field.aliases) for at, other in enumerate(theirs.fields) if other.name == name), None)
    if at is None:
        return _default(field)
    kind, other = field.kind, theirs.fields[at].kind
    if broken or (other.nullable and not kind.nullable):
        return None
    simple, wider = _bare(kind.avro), (_bare(other.avro), _bare(kind.avro))
    if other.arrow == kind.arrow and _symbols(simple) == _symbols(wider[0]):
        return lambda columns: columns.column(at)
    if isinstance(simple, str) and (wider in _WIDER or wider[0] == wider[1]) and "decimal" not in (kind.logical, other.logical):
        return lambda columns: pc.cast(pc.cast(columns.column(at), other.plain, safe=False), kind.plain, safe=False).cast(kind.arrow)
    return None


def _bare(avro: Any) -> Any:
    """A type without its null."""
    return next(branch for branch in avro if branch != "null") if isinstance(avro, list) else avro


def _symbols(avro: Any) -> list[Any]:
    """Those of every enum in a type: what equal columns may still differ in."""
    if isinstance(avro, list):
        return [_symbols(branch) for branch in avro]
    if not isinstance(avro, Mapping):
        return []
    inner = [avro.get("items"), avro.get("values"), *(entry["type"] for entry in avro.get("fields", ()))]
    return [avro.get("symbols"), *map(_symbols, inner)]


def _default(field: Field) -> Column | None:
    """The reader's default as a column."""
    if field.default is None:
        return lambda columns: pa.nulls(columns.num_rows, field.kind.arrow)
    if not isinstance(field.default, str | int | float | bool) or field.kind.logical == "decimal":
        return None
    default: Any = field.default
    if pa.types.is_binary(field.kind.plain) and isinstance(default, str):
        default = default.encode("latin-1")  # as the specification says
    scalar = pa.scalar(default, field.kind.plain).cast(field.kind.arrow)
    return lambda columns: pa.repeat(scalar, columns.num_rows)


class _Projecting:
    """Decodes with the writer's schema, then makes the reader's columns of it."""

    def __init__(self, inner: AvroDecoder, ours: Layout, columns: Sequence[Column]) -> None:
        self._inner = inner
        self._columns = columns
        self.arrow_schema: Final = ours.arrow

    def whole(self, values: Sequence[bytes]) -> pa.RecordBatch | None:
        """The columns of n values; None if any of them is not plainly good."""
        columns = self._inner.whole(values)
        try:
            return None if columns is None else self._project(columns)
        except pa.ArrowInvalid:
            return None

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values."""
        decoded = self._inner.decode(values)
        try:
            return Decoded(self._project(decoded.columns), decoded.good, decoded.bad)
        except pa.ArrowInvalid:  # some bytes are no text
            return self._each(decoded)

    def _each(self, decoded: Decoded) -> Decoded:
        """Row by row."""
        pieces: list[pa.RecordBatch] = []
        good: list[int] = []
        bad = list(decoded.bad)
        for at, row in enumerate(decoded.good.tolist()):
            try:
                pieces.append(self._project(decoded.columns.slice(at, 1)))
                good.append(row)
            except pa.ArrowInvalid as error:
                bad.append(Bad(row, Reason.WRONG_TYPE, f"it can't be read with the flow's schema: {error}"))
        return joined(self.arrow_schema, pieces, good, bad)

    def _project(self, columns: pa.RecordBatch) -> pa.RecordBatch:
        ours = pa.RecordBatch.from_arrays([column(columns) for column in self._columns], schema=self.arrow_schema)
        ours.validate(full=True)
        return ours


class _Resolving:
    """Decodes row by row with the reference."""

    def __init__(self, writer: Contract, reader: Contract, frame: Frame) -> None:
        self._layout = Layout.of(reader.schema)
        self._cut = len(frame.prefix)
        self._strict = Strict(writer.schema, self._cut)
        self._writer = parse_schema(_plain(writer.schema))
        self._reader = reference_schema({**reader.schema, "name": writer.name})
        self.arrow_schema: Final = self._layout.arrow

    def whole(self, values: Sequence[bytes]) -> pa.RecordBatch | None:
        """The columns of n values; None if any of them is not good."""
        decoded = self.decode(values)
        return None if decoded.bad else decoded.columns

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values."""
        pieces: list[pa.RecordBatch] = []
        good: list[int] = []
        bad: list[Bad] = []
        for row, value in enumerate(values):
            fault = self._strict.fault(value)
            if fault is not None:
                bad.append(Bad(row, *fault))
                continue
            try:
                datum: Any = schemaless_reader(io.BytesIO(value[self._cut :]), self._writer, self._reader)
                pieces.append(meaning(self._layout, [pa.array([datum[f.name]], f.kind.plain) for f in self._layout.fields]))
                good.append(row)
            except (SchemaResolutionError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
                bad.append(Bad(row, Reason.WRONG_TYPE, f"it can't be read with the flow's schema: {error}"))
        return joined(self.arrow_schema, pieces, good, bad)


def _plain(schema: Any) -> Any:
    """A schema without logical types."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if isinstance(schema, Mapping):
        return {key: part if key == "default" else _plain(part) for key, part in schema.items() if key != "logicalType"}
    return schema


def reference_schema(schema: Any) -> Any:
    """A reader's schema as the reference takes it: no logical types, and defaults that are datums (there bytes are text otherwise)."""
    parsed: Any = parse_schema(_plain(schema))
    names = parsed["__named_schemas"]
    for one in (parsed, *names.values()):
        for entry in one.get("fields", ()):
            if "default" in entry:
                entry["default"] = _datum(entry["default"], entry["type"], names)
    return parsed


def _datum(default: Any, schema: Any, names: Mapping[str, Any]) -> Any:
    """A default as a datum of its type; of a union it is of the first branch."""
    kind = schema[0] if isinstance(schema, list) else schema
    kind = names.get(kind, kind) if isinstance(kind, str) else kind
    match kind if isinstance(kind, str) else kind["type"]:
        case "bytes" | "fixed" if isinstance(default, str):
            return default.encode("latin-1")  # code points 0-255, as the specification says
        case "array":
            return [_datum(part, kind["items"], names) for part in default]
        case "map":
            return {key: _datum(part, kind["values"], names) for key, part in default.items()}
        case "record" | "error":
            given = [(entry, default.get(entry["name"], entry.get("default"))) for entry in kind["fields"]]
            return {entry["name"]: _datum(part, entry["type"], names) for entry, part in given}
    return default


def every(count: int) -> Any:
    """The rows of n values that are all good."""
    return np.arange(count, dtype=np.int64)
