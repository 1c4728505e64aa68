"""Rows as Pandas and Python can hold them: dates and times beyond become null, and are counted."""

from typing import Final

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
        bounds = _bounds(field.type)
        if bounds is None:
            continue
        column = rows.column(place)
        numbers = column.cast(pa.int32() if field.type.bit_width == 32 else pa.int64())
        beyond = pc.or_(pc.less(numbers, bounds[0]), pc.greater(numbers, bounds[1]))
        found = pc.sum(beyond).as_py() or 0
        if found:
            count += found
            rows = rows.set_column(place, field.with_nullable(True), pc.if_else(beyond, pa.scalar(None, field.type), column))
    return rows, count


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
