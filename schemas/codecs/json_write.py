"""Arrow columns to JSON objects, one a row, by an Avro schema (the forms are those of `json_columns`)."""

import base64
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from schemas.codecs.casting import plainly
from schemas.codecs.layout import Field, Layout

# years 1 to 9999, of which ISO 8601 writes no more than four digits
_YEARS: Final = {unit: (-62_135_596_800 * count, 253_402_300_800 * count - 1) for unit, count in (("ms", 10**3), ("us", 10**6))}

Say = Callable[[Any], Any]


class JsonEncoder:
    """Writes columns of one schema as JSON objects."""

    content_type: Final = "application/json"

    def __init__(self, schema: Any) -> None:
        """Of a schema whose names are written out.

        Raises:
            ValueError: a field has no column type.
        """
        self._layout = Layout.of(schema)
        self._names = [field.name for field in self._layout.fields]
        self.arrow_schema: Final = self._layout.arrow

    def encode(self, columns: pa.RecordBatch) -> list[bytes]:
        """One value a row.

        Raises:
            ValueError: a row does not fit the schema, or holds what JSON has no word for (NaN, a year beyond 9999).
        """
        return [orjson.dumps(row) for row in self.objects(columns)]

    def objects(self, columns: pa.RecordBatch) -> Iterator[dict[str, Any]]:
        """One object a row, for orjson; each may go before the next comes, which spares the garbage collector.

        Raises:
            ValueError: as above.
        """
        plain = plainly(self._layout, columns)
        try:
            values = [_values(field, columns.column(field.name), raw) for field, raw in zip(self._layout.fields, plain, strict=True)]
        except OverflowError as error:
            raise ValueError("a row holds a date or time beyond the years 1 to 9999") from error
        except ValueError as error:
            raise ValueError(f"a row has no form in JSON: {error}") from error
        return (dict(zip(self._names, row, strict=True)) for row in zip(*values, strict=True))


def _values(field: Field, array: pa.Array, plain: pa.Array) -> list[Any]:
    """A column as what orjson can write."""
    kind, symbols = field.kind.arrow, field.kind.symbols
    if symbols and not pc.all(pc.is_in(array.drop_null(), pa.array(symbols)), min_count=0).as_py():
        raise ValueError(f"column {field.name} holds what is no symbol of the enum")
    if pa.types.is_floating(kind) and not pc.all(pc.is_finite(array), min_count=0).as_py():
        raise ValueError(f"column {field.name} holds NaN or infinity")
    if pa.types.is_timestamp(kind):
        return list((plain if kind.unit == "ns" else _texts(field.name, array)).to_pylist())  # readers in Python have no nanoseconds
    say = None if pa.types.is_floating(kind) else sayer(kind)
    values = array.to_pylist(maps_as_pydicts="strict")
    return list(values) if say is None else [None if value is None else say(value) for value in values]


def _texts(name: str, array: pa.Array) -> pa.Array:
    """Timestamps as RFC 3339 text, those without a zone without an offset; on whole columns, for Python's are slow."""
    first, last = _YEARS[array.type.unit]
    bounds = pc.min_max(array.cast(pa.int64())).as_py()
    if bounds["min"] is not None and not first <= bounds["min"] <= bounds["max"] <= last:
        raise ValueError(f"column {name} holds a time beyond the years 1 to 9999")
    return pc.replace_substring(array.cast(pa.string()), " ", "T")


def sayer(kind: pa.DataType) -> Say | None:
    """How to turn a value of a type into what orjson can write; None if it can already."""
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return lambda value: base64.b64encode(value).decode()
    if pa.types.is_decimal(kind):
        return str
    if pa.types.is_temporal(kind):
        return _moment
    if pa.types.is_floating(kind):
        return _finite
    if pa.types.is_list(kind):
        return _each(sayer(kind.value_type) or _as_it_is)
    if pa.types.is_map(kind):
        item = sayer(kind.item_type) or _as_it_is
        return lambda value: {key: None if part is None else item(part) for key, part in value.items()}
    if pa.types.is_struct(kind):
        parts = {field.name: sayer(field.type) or _as_it_is for field in kind}
        return lambda value: {name: None if value[name] is None else say(value[name]) for name, say in parts.items()}
    return None


def _each(item: Say) -> Say:
    return lambda value: [None if part is None else item(part) for part in value]


def _as_it_is(value: Any) -> Any:
    return value


def _moment(value: Any) -> Any:
    """A date or time as ISO 8601 text, by Python: orjson 3.13 writes ten milliseconds as .10000."""
    return value.isoformat()


def _finite(value: float) -> float:
    """A number that JSON has."""
    if not math.isfinite(value):
        raise ValueError("it holds NaN or infinity")
    return value
