"""Between what Avro's bytes are and what they mean: plain Arrow columns and those of the convention, without loss."""

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.codecs.layout import Field, Layout

_DECIMAL_BITS: Final = 127  # of decimal128, without the sign
_EXACT: Final = Context(prec=80)  # the ordinary context rounds to 28 digits


def meaning(layout: Layout, plain: Sequence[pa.Array]) -> pa.RecordBatch:
    """The columns of plain ones (bytes may lie in strings).

    Raises:
        ValueError: a string is not UTF-8, or a number is out of its logical type's range.
    """
    arrays = [_mean(field, array) for field, array in zip(layout.fields, plain, strict=True)]
    columns = pa.RecordBatch.from_arrays(arrays, schema=layout.arrow)
    columns.validate(full=True)
    return columns


def _mean(field: Field, plain: pa.Array) -> pa.Array:
    """One column."""
    kind = field.kind
    if kind.logical == "decimal":
        raw = plain.cast(kind.plain, safe=False).to_pylist()
        numbers = [None if part is None else _decimal(part, kind.arrow.scale) for part in raw]
        return pa.array(numbers, kind.arrow)
    return plain if plain.type == kind.arrow else pc.cast(plain, kind.arrow, safe=False)


def _decimal(part: bytes, scale: int) -> Decimal:
    """The number that an unscaled value stands for."""
    unscaled = int.from_bytes(part, "big", signed=True)
    if unscaled.bit_length() > _DECIMAL_BITS:  # before it is turned to digits, which takes long for a megabyte
        raise ValueError(f"a decimal of {len(part)} bytes has too many digits")
    return _EXACT.scaleb(Decimal(unscaled), -scale)


def plainly(layout: Layout, columns: pa.RecordBatch) -> list[pa.Array]:
    """The plain columns of a batch whose columns are exactly the layout's.

    Raises:
        ValueError: a column is missing, of another type, holds a null where none may be, or text that is not UTF-8.
    """
    columns.validate(full=True)
    return [_plain(field, columns) for field in layout.fields]


def _plain(field: Field, columns: pa.RecordBatch) -> pa.Array:
    """One column."""
    kind, at = field.kind, columns.schema.get_field_index(field.name)
    if at < 0:
        raise ValueError(f"there is no column {field.name}, or there are several")
    array = columns.column(at)
    if array.type != kind.arrow:
        raise ValueError(f"column {field.name} is {array.type}, the schema needs {kind.arrow}")
    if not _complete(array, kind.arrow, kind.nullable):
        raise ValueError(f"column {field.name} holds a null, the schema allows none")
    if kind.logical == "decimal":
        return pa.array([None if number is None else _bytes(number, kind) for number in array.to_pylist()], kind.plain)
    return array if array.type == kind.plain else pc.cast(array, kind.plain, safe=False)


def _bytes(number: Decimal, kind: Any) -> bytes:
    """A decimal's unscaled value: big-endian two's complement, as short as it goes or as long as the fixed is."""
    unscaled = int(_EXACT.scaleb(number, kind.arrow.scale))
    fixed = kind.plain.byte_width if pa.types.is_fixed_size_binary(kind.plain) else 0
    try:
        return unscaled.to_bytes(fixed or (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1, "big", signed=True)
    except OverflowError as error:
        raise ValueError(f"{number} does not fit {fixed} bytes") from error


def _complete(array: pa.Array, kind: pa.DataType, nullable: bool) -> bool:
    """Whether nulls stand only where they may."""
    if not nullable and array.null_count and not pa.types.is_null(kind):
        return False
    if not pa.types.is_nested(kind):
        return True
    present = array.drop_null() if array.null_count else array
    if pa.types.is_struct(kind):
        parts = present.flatten()
        return all(_complete(parts[at], kind.field(at).type, kind.field(at).nullable) for at in range(kind.num_fields))
    if pa.types.is_list(kind):
        return _complete(present.flatten(), kind.value_type, kind.value_field.nullable)
    if pa.types.is_map(kind):
        items = pa.concat_arrays([present]).items if present.offset else present.items
        return _complete(items, kind.item_type, kind.item_field.nullable)
    return True
