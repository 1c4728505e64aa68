"""Rows as Pandas and Python can hold them: dates and times beyond become null, also within lists, maps and structs, and are counted."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # of the years 1 to 9999
_DAY_S: Final = 86_400
_PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MOST: Final = 2**63 - 1


def held(rows: pa.Table) -> tuple[pa.Table, int]:
    """The rows, and how many of their values became null."""
    count = 0
    for place, field in enumerate(rows.schema):
        if not _may_pass(field.type):
            continue
        column, found = _held(rows.column(place).combine_chunks())
        if found:
            count += found
            rows = rows.set_column(place, field.with_nullable(True).with_type(column.type), column)
    return rows, count


def _may_pass(type_: pa.DataType) -> bool:
    """Whether there is a date or time in it."""
    return _bounds(type_) is not None or any(_may_pass(type_.field(at).type) for at in range(type_.num_fields))


def _held(column: pa.Array) -> tuple[pa.Array, int]:
    type_ = column.type
    if (bounds := _bounds(type_)) is not None:
        numbers = column.cast(pa.int32() if type_.bit_width == 32 else pa.int64())
        beyond = pc.or_(pc.less(numbers, bounds[0]), pc.greater(numbers, bounds[1]))
        found = pc.sum(beyond).as_py() or 0
        return (pc.if_else(beyond, pa.scalar(None, type_), column), found) if found else (column, 0)
    if not _may_pass(type_):
        return column, 0
    if pa.types.is_struct(type_):
        parts = [_held(part) for part in column.flatten()]
        fields = [field.with_nullable(True).with_type(part.type) for field, (part, _) in zip(type_, parts, strict=True)]
        return pa.StructArray.from_arrays([part for part, _ in parts], fields=fields, mask=column.is_null()), sum(n for _, n in parts)
    if pa.types.is_map(type_):
        column = column.cast(pa.list_(pa.struct([type_.key_field, type_.item_field])))
    values, found = _held(column.flatten())
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=column.is_null()), found


def _bounds(type_: pa.DataType) -> tuple[int, int] | None:
    """The lowest and the highest number that stands for a date or time; None where all do."""
    if pa.types.is_date32(type_):
        return _FIRST_DAY, _LAST_DAY
    if pa.types.is_time(type_):
        return 0, _DAY_S * _PER_S[type_.unit] - 1
    if pa.types.is_timestamp(type_):
        second = _PER_S[type_.unit]
        return max(-_MOST, _FIRST_DAY * _DAY_S * second), min(_MOST, (_LAST_DAY + 1) * _DAY_S * second - 1)
    return None
