"""Avro datums to Arrow columns and back: by the columnar codec (pyruhvro), with guards, and by the reference (fastavro) for what that
can't.

The columnar codec lets pass what is no datum: text that is not UTF-8, numbers that wrap, bytes behind the datum. So what it read is
written again and must be the same bytes: then the reading was right, whatever it does not check. (Equal lengths would not do: an int
beyond 32 bits wraps to one of the same length.) Values that are good but written unusually (long varints, arrays in blocks) don't come
back the same either, and go to the reference. A batch that fails is split until the bad rows are found; `avro_strict` says what is
wrong with them.
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from pyruhvro import deserialize_array, serialize_record_batch

from schemas.codecs.avro_strict import Fault, Strict
from schemas.codecs.casting import meaning, plainly
from schemas.codecs.decoder import Bad, Decoded, joined
from schemas.codecs.frame import Frame
from schemas.codecs.layout import Layout
from schemas.vocabulary import Reason

_LEAF: Final = 16  # rows that are looked at one by one
_FOREIGN: Final = Fault(Reason.UNKNOWN_SCHEMA, "the value does not begin as values of this schema do")


class AvroDecoder:
    """Reads datums of one schema, each behind the same frame (none by default)."""

    def __init__(self, schema: Any, frame: Frame | None = None) -> None:
        """Of a schema whose names are written out (`Contract.schema`).

        Raises:
            ValueError: a field has no column type.
        """
        self._layout = Layout.of(schema)
        self._frame = frame or Frame()
        self._columnar = columnar_schema(self._layout, self._frame)
        self._parsed = parse_schema(self._layout.avro)
        self._strict = Strict(self._layout.avro, len(self._frame.prefix))
        self.arrow_schema: Final = self._layout.arrow

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values; bad ones are found, and the good ones decode on."""
        whole = self.whole(values)
        if whole is not None:
            return Decoded(whole, np.arange(len(values), dtype=np.int64))
        pieces: list[pa.RecordBatch] = []
        good: list[int] = []
        bad: list[Bad] = []
        waiting = [range(len(values))]
        while waiting:
            rows = waiting.pop()
            some = values[rows.start : rows.stop]
            if len(rows) <= _LEAF:
                columns, fine = self._each(some, rows.start, bad)
                good.extend(fine)
            elif (columns := self.whole(some)) is not None:
                good.extend(rows)
            else:
                middle = (rows.start + rows.stop) // 2
                waiting += [range(middle, rows.stop), range(rows.start, middle)]
                continue
            pieces.append(columns)
        return joined(self.arrow_schema, pieces, good, bad)

    def whole(self, values: Sequence[bytes]) -> pa.RecordBatch | None:
        """The columns of n values; None if any of them is not plainly good."""
        if not values:
            return pa.RecordBatch.from_pylist([], self.arrow_schema)
        try:
            plain = self._by_reference(values) if self._columnar is None else self._by_columns(self._columnar, values)
            return None if plain is None else meaning(self._layout, plain)
        except ValueError:
            return None

    def _by_columns(self, schema: str, values: Sequence[bytes]) -> list[pa.Array] | None:
        """The plain columns, if writing them gives the values."""
        try:
            columns = deserialize_array(values if isinstance(values, list) else list(values), schema)
            again = serialize_record_batch(columns, schema, 1)[0]
        except BaseException as error:
            if _panicked(error):
                return None
            raise
        if not self._frame.matches(columns) or not again.equals(pa.array(values, again.type)):
            return None
        plain: list[pa.Array] = columns.columns[len(self._frame.fields) :]
        return plain

    def _by_reference(self, values: Sequence[bytes]) -> list[pa.Array] | None:
        """The same row by row."""
        start = self._frame.prefix
        datums = []
        for value in values:
            try:
                datum: Any = schemaless_reader(io.BytesIO(value[len(start) :]), self._parsed, None)
                out = io.BytesIO()
                schemaless_writer(out, self._parsed, datum)
            except (EOFError, IndexError, ValueError, TypeError, OverflowError, MemoryError):
                return None
            if start + out.getvalue() != value:
                return None
            datums.append(datum)
        return self._plain(datums)

    def _plain(self, datums: Sequence[Any]) -> list[pa.Array]:
        """Datums as plain columns."""
        return [pa.array([datum[f.name] for datum in datums], f.kind.plain) for f in self._layout.fields]

    def _each(self, values: Sequence[bytes], start: int, bad: list[Bad]) -> tuple[pa.RecordBatch, list[int]]:
        """Few rows, one by one: the good ones' columns and rows; the bad ones are added to `bad`."""
        cut = len(self._frame.prefix)
        datums: dict[int, Any] = {}
        for row, value in enumerate(values, start):
            fault = self._strict.fault(value) if value.startswith(self._frame.prefix) else _FOREIGN
            if fault is None:
                datums[row] = schemaless_reader(io.BytesIO(value[cut:]), self._parsed, None)
            else:
                bad.append(Bad(row, *fault))
        try:
            return meaning(self._layout, self._plain(list(datums.values()))), list(datums)
        except ValueError:
            return self._in_range(datums, bad)

    def _in_range(self, datums: Mapping[int, Any], bad: list[Bad]) -> tuple[pa.RecordBatch, list[int]]:
        """Datums of which some have a number that its logical type does not allow."""
        pieces: dict[int, pa.RecordBatch] = {}
        for row, datum in datums.items():
            try:
                pieces[row] = meaning(self._layout, self._plain([datum]))
            except ValueError as error:
                bad.append(Bad(row, Reason.OUT_OF_RANGE, str(error)))
        return joined(self.arrow_schema, list(pieces.values()), list(pieces), ()).columns, list(pieces)


class AvroEncoder:
    """Writes datums of one schema, each behind the same frame (none by default)."""

    content_type: Final = "application/avro"

    def __init__(self, schema: Any, frame: Frame | None = None) -> None:
        """Of a schema whose names are written out.

        Raises:
            ValueError: a field has no column type.
        """
        self._layout = Layout.of(schema)
        self._frame = frame or Frame()
        self._columnar = columnar_schema(self._layout, self._frame)
        self._parsed = parse_schema(self._layout.avro)
        self._physical = [f"c{at}" for at in range(len(self._layout.fields))]
        self.arrow_schema: Final = self._layout.arrow

    def encode(self, columns: pa.RecordBatch) -> list[bytes]:
        """One value a row.

        Raises:
            ValueError: a row does not fit the schema.
        """
        if not columns.num_rows:
            return []
        plain = plainly(self._layout, columns)
        if self._columnar is None:
            return self._by_reference(plain)
        names = [entry["name"] for entry in self._frame.fields] + self._physical
        strings = [_as_strings(array, f.kind.columnar) for array, f in zip(plain, self._layout.fields, strict=True)]
        batch = pa.RecordBatch.from_arrays([*self._frame.columns(len(columns)), *strings], names)
        try:
            values: list[bytes] = serialize_record_batch(batch, self._columnar, 1)[0].to_pylist()
        except BaseException as error:
            if _panicked(error):
                raise ValueError(f"a row does not fit the schema: {error}") from error
            raise
        return values

    def _by_reference(self, plain: Sequence[pa.Array]) -> list[bytes]:
        """The same row by row."""
        rows = zip(*(array.to_pylist(maps_as_pydicts="strict") for array in plain), strict=True)
        names = [f.name for f in self._layout.fields]
        values = []
        for row in rows:
            out = io.BytesIO(self._frame.prefix)
            out.seek(len(self._frame.prefix))
            try:
                schemaless_writer(out, self._parsed, dict(zip(names, row, strict=True)))
            except (TypeError, KeyError, OverflowError, AttributeError) as error:
                raise ValueError(f"a row does not fit the schema: {error}") from error
            values.append(out.getvalue())
        return values


def columnar_schema(layout: Layout, frame: Frame) -> str | None:
    """The schema for the columnar codec: frame and fields by number, as JSON. None if it can't do it."""
    if not layout.columnar:
        return None
    fields = [{"name": f"c{at}", "type": f.kind.columnar} for at, f in enumerate(layout.fields)]
    return json.dumps({"type": "record", "name": "n0", "fields": [*frame.fields, *fields]})


def _as_strings(array: pa.Array, columnar: Any) -> pa.Array:
    """Bytes as the strings that the columnar codec takes them for."""
    if "bytes" not in str(array.type) and "binary" not in str(array.type):
        return array
    return array.cast(_stringy(array.type), safe=False)


def _stringy(kind: pa.DataType) -> pa.DataType:
    """A type with strings where it has bytes."""
    if pa.types.is_binary(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_stringy(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_stringy(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(pa.string(), kind.item_field.with_type(_stringy(kind.item_type)))
    return kind


def _panicked(error: BaseException) -> bool:
    """Whether the columnar codec refused: with a ValueError, or with its panic, which has no importable class."""
    return isinstance(error, ValueError) or type(error).__name__ == "PanicException"
