"""What a flow writes: results by their contract, and details of whatever columns a row had."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from processors.flow.last import fits
from schemas.codecs.avro_columns import AvroDecoder, AvroEncoder
from schemas.codecs.decoder import Encoder
from schemas.codecs.encodings import Written, encoder
from schemas.codecs.layout import Field, Layout
from schemas.codecs.registry import Registry
from schemas.contracts import Contract
from schemas.errors import FlowError

_AVRO: Final[Mapping[pa.DataType, Any]] = {
    pa.bool_(): "boolean",
    **dict.fromkeys((pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16()), "int"),
    **dict.fromkeys((pa.int64(), pa.uint32()), "long"),
    **dict.fromkeys((pa.float16(), pa.float32()), "float"),
    pa.float64(): "double",
    **dict.fromkeys((pa.binary(), pa.large_binary()), "bytes"),
    pa.date32(): {"type": "int", "logicalType": "date"},
    pa.time32("ms"): {"type": "int", "logicalType": "time-millis"},
    pa.time64("us"): {"type": "long", "logicalType": "time-micros"},
}
_UNITS: Final = {"s": "millis", "ms": "millis", "us": "micros", "ns": "nanos"}
STEP, WHY = "weft_step", "weft_why"
"""Columns of the details that no step gives: the step at which the row left, and the sentence that says why."""


class ResultWriter:
    """Writes the columns that a contract names; fields that no column gives take their default."""

    def __init__(self, contract: Contract, encoding: Written, registry: Registry | None = None, subject: str = "") -> None:
        """Of the result's contract. What goes around a CloudEvent in structured mode is put there when its headers are known.

        Raises:
            ValueError: a field has no column type, or the registry has no id for the contract.
        """
        self._fields = Layout.of(contract.schema).fields
        self._encoder: Encoder = encoder(contract, encoding, registry, subject)
        self.content_type: Final = self._encoder.content_type

    def encode(self, columns: pa.RecordBatch) -> list[bytes]:
        """One value a row.

        Raises:
            ValueError: a row does not fit the schema.
        """
        arrays = [_fitted(field, columns) for field in self._fields]
        return self._encoder.encode(pa.RecordBatch.from_arrays(arrays, [field.name for field in self._fields]))


class DetailsWriter:
    """Writes any of the columns that a flow may have, the others as null: Avro datums without a frame.

    A column's own name stands in the schema as the field's `column`, as an Avro name has no dot. What has no Avro type is written as JSON.
    """

    content_type: Final = "application/avro"

    def __init__(self, name: str, columns: Mapping[str, pa.DataType]) -> None:
        names = _names(columns)
        fields = [
            {"name": names[column], "column": column, "type": ["null", _avro(kind)], "default": None} for column, kind in columns.items()
        ]
        self.schema: Final[Mapping[str, Any]] = {"type": "record", "name": name, "namespace": "weft.details", "fields": fields}
        self.schema_json: Final = json.dumps(self.schema)
        bare = {**self.schema, "name": f"weft.details.{name}"}
        self._encoder = AvroEncoder(bare)
        self._decoder = AvroDecoder(bare)
        self._columns = list(columns)
        self._fields = Layout.of(bare).fields

    def encode(self, columns: pa.RecordBatch) -> list[bytes]:
        """One value a row; columns that the flow does not have are left out.

        Raises:
            ValueError: a text is not UTF-8, or a number too large for its column's type.
        """
        arrays = []
        for column, field in zip(self._columns, self._fields, strict=True):
            at = columns.schema.get_field_index(column)
            there = at >= 0
            arrays.append(_noted(columns.column(at), field.kind.arrow) if there else pa.nulls(columns.num_rows, field.kind.arrow))
        return self._encoder.encode(pa.RecordBatch.from_arrays(arrays, [field.name for field in self._fields]))

    def decode(self, value: bytes) -> dict[str, Any]:
        """One row's columns by their own names, without those that are null.

        Raises:
            ValueError: these are no details of the flow.
        """
        decoded = self._decoder.decode([value])
        if decoded.bad:
            raise ValueError(decoded.bad[0].sentence)
        row = decoded.columns.to_pylist()[0].values()
        return {column: found for column, found in zip(self._columns, row, strict=True) if found is not None}


def result_writer(contract: Contract, encoding: Written, registry: Registry | None = None, subject: str = "") -> ResultWriter:
    """The writer of a flow's results.

    Raises:
        FlowError: the contract can't be written so.
    """
    try:
        return ResultWriter(contract, encoding, registry, subject)
    except ValueError as error:
        put = f"Register it (weft schema register {contract.name} --subject {subject}), or put it into schemas/registry/<id>.avsc."
        hint = put if encoding == "avro-confluent" else ""
        raise FlowError(f"{contract.name} can't be written as {encoding}: {error}", hint) from error


def details_writer(flow: str, columns: Mapping[str, pa.DataType]) -> DetailsWriter:
    """The writer of a flow's details."""
    return DetailsWriter(re.sub(r"[^A-Za-z0-9_]", "_", flow), {**columns, STEP: pa.string(), WHY: pa.string()})


def _fitted(field: Field, columns: pa.RecordBatch) -> pa.Array:
    """The column of a field, in the field's type."""
    at, wanted = columns.schema.get_field_index(field.name), field.kind.arrow
    if at < 0:
        return _default(field, columns.num_rows)
    array = columns.column(at)
    if array.type == wanted:
        return array
    if not fits(array.type, wanted):
        raise ValueError(f"column {field.name} is {array.type}, the result needs {wanted}")
    return array.cast(wanted)


def _default(field: Field, rows: int) -> pa.Array:
    """A field's default, n times."""
    if not field.has_default:
        raise ValueError(f"there is no column {field.name}, and the field has no default")
    if field.default is None:
        return pa.nulls(rows, field.kind.arrow)
    default = field.default
    if isinstance(default, str) and (pa.types.is_binary(field.kind.plain) or pa.types.is_fixed_size_binary(field.kind.plain)):
        default = default.encode("latin-1")  # as the specification says
    return pa.array([default] * rows, field.kind.plain).cast(field.kind.arrow)


def _names(columns: Mapping[str, pa.DataType]) -> dict[str, str]:
    """Avro names of columns, each once."""
    found: dict[str, str] = {}
    for column in columns:
        name = re.sub(r"^(?=[0-9])|[^A-Za-z0-9_]", "_", column) or "_"
        while name in found.values():
            name += "_"
        found[column] = name
    return found


def _avro(kind: pa.DataType) -> Any:
    """The Avro type of a column."""
    if pa.types.is_timestamp(kind):
        local = "local-" if kind.tz is None else ""
        return {"type": "long", "logicalType": f"{local}timestamp-{_UNITS[kind.unit]}"}
    return _AVRO.get(kind, "string")


def _noted(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """A column as details hold it."""
    if array.type == wanted:
        return array
    if not pa.types.is_string(wanted) or pa.types.is_large_string(array.type) or pa.types.is_null(array.type):
        return pc.cast(array, wanted)
    if pa.types.is_dictionary(array.type):
        return _noted(array.dictionary_decode(), wanted)
    texts = [None if value is None else orjson.dumps(value, default=str).decode() for value in array.to_pylist(maps_as_pydicts="lossy")]
    return pa.array(texts, wanted)
