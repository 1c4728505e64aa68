"""JSON objects of a lookup as rows of columns, by an Avro contract; what does not fit the contract counts as missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
import pyarrow as pa

from schemas.codecs.layout import Field, Layout
from schemas.contracts import Contract

FOUND = "found"
"""The column, after the fields, that says whether there was a fitting object."""

OBJECT_BYTES = 65_536
"""A larger object does not fit: it would be in every row that asks for it, and in what is written of them."""

_INT_BITS = {pa.int32(): 31, pa.int64(): 63}
Fits = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Objects:
    """The fields that are read, and what stands for an object that is not there."""

    schema: pa.Schema  # the fields and `found`
    fields: tuple[tuple[str, Fits, bool, Any], ...]  # name, whether a value fits, has a default, the default

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """By the contract of the objects.

        Raises:
            ValueError: a field is of a type that lookups do not read; the sentence names it.
        """
        layout = Layout.of(contract.schema)
        columns = [pa.field(field.name, field.kind.arrow, nullable=field.kind.nullable) for field in layout.fields]
        return cls(pa.schema([*columns, pa.field(FOUND, pa.bool_(), nullable=False)]), tuple(_read(field) for field in layout.fields))

    @property
    def nullable(self) -> tuple[str, ...]:
        """Fields that may be null."""
        return tuple(field.name for field in self.schema if field.nullable)

    @property
    def without_default(self) -> tuple[str, ...]:
        """Fields for which nothing stands when the object is not there."""
        return tuple(name for name, _, has, _ in self.fields if not has)

    def rows(self, values: Sequence[bytes | None]) -> tuple[pa.RecordBatch, int]:
        """A row per value and, last, one for what is missing; and how many values did not fit."""
        missing = [default for _, _, _, default in self.fields]
        objects = [None if value is None else self._object(value) for value in values]
        malformed = sum(found is None for found in objects) - sum(value is None for value in values)
        rows = [missing if found is None else found for found in objects] + [missing]
        arrays = [_column(values, field.type) for values, field in zip(zip(*rows, strict=True), self.schema, strict=False)]
        arrays.append(pa.array([*(found is not None for found in objects), False], pa.bool_()))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema), malformed

    def _object(self, value: bytes) -> list[Any] | None:
        """The fields of one object; None if it does not fit."""
        if len(value) > OBJECT_BYTES:
            return None
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(found, Mapping):
            return None
        row = []
        for name, fits, has_default, default in self.fields:
            if name not in found:
                if not has_default:
                    return None
                row.append(default)
                continue
            field = found[name]
            if not fits(field):
                return None
            row.append(field)
        return row


def _column(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_floating(type_):  # Arrow refuses integers beyond 53 bits here
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, type_)


def _read(field: Field) -> tuple[str, Fits, bool, Any]:
    fits = _fits(field)
    nullable = field.kind.nullable
    return field.name, (lambda value: value is None or fits(value)) if nullable else fits, field.has_default or nullable, field.default


def _fits(field: Field) -> Fits:
    type_ = field.kind.arrow
    if type_ in _INT_BITS:
        bound = 2 ** _INT_BITS[type_]
        return lambda value: type(value) is int and -bound <= value < bound
    if pa.types.is_floating(type_):
        return lambda value: type(value) in (int, float)
    if pa.types.is_string(type_):
        return lambda value: type(value) is str
    if pa.types.is_boolean(type_):
        return lambda value: type(value) is bool
    raise ValueError(f"its field `{field.name}` is {type_}; lookups read booleans, numbers and strings")
