"""Columns as CEL sees them: values, which rows are null, which rows could not be evaluated; and CEL's operators over them.

Numbers, booleans and timestamps (microseconds since 1970) are NumPy arrays, strings are Arrow arrays; a constant has shape (). Masks
broadcast, and None stands for a mask without a row. Values of null or failed rows mean nothing.
"""

import operator
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from processors.arrays import as_type, filled, flags

Mask = npt.NDArray[np.bool_] | None

INT64 = np.iinfo(np.int64)
_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}
TIME_MIN_S, TIME_MAX_S = -62_135_596_800, 253_402_300_799
"""CEL's timestamps: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, in seconds since 1970."""


class Kind(StrEnum):
    """A type of CEL that columns may have."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    TIME = "timestamp"
    NULL = "null"  # of the word `null` alone


ARROW: Mapping[Kind, pa.DataType] = {
    Kind.BOOL: pa.bool_(),
    Kind.INT: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.STRING: pa.string(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
}


class Vector(NamedTuple):
    """One value a row."""

    values: Any
    null: Mask = None
    failed: Mask = None


def kind_of(type_: pa.DataType) -> Kind | None:
    """The kind that a column of this type has; None for a type that only the library reads."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_boolean(type_):
        return Kind.BOOL
    if pa.types.is_integer(type_) and not pa.types.is_uint64(type_):
        return Kind.INT
    if pa.types.is_float32(type_) or pa.types.is_float64(type_):
        return Kind.DOUBLE
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return Kind.STRING
    if pa.types.is_timestamp(type_) and type_.unit in _UNITS:
        return Kind.TIME
    return None


def load(column: pa.Array, kind: Kind) -> Vector:
    """A column as a vector. A timestamp that CEL can't hold counts as failed."""
    null = flags(column.is_null()) if column.null_count else None
    if kind is Kind.TIME:
        per_s, ticks = _ticks(column)
        return Vector(ticks * (1_000_000 // per_s), null, _beyond(per_s, ticks))
    column = filled(as_type(column, ARROW[kind]), {Kind.BOOL: False, Kind.STRING: ""}.get(kind, 0))
    return Vector(column if kind is Kind.STRING else column.to_numpy(zero_copy_only=False), null)


def unreadable(column: pa.Array) -> Mask:
    """Rows whose timestamp CEL can't hold; None if there are none."""
    return _beyond(*_ticks(column))


def _ticks(column: pa.Array) -> tuple[int, npt.NDArray[np.int64]]:
    """Timestamps as numbers, and how many of their units a second has."""
    return _UNITS[column.type.unit], filled(column.view(pa.int64()), 0).to_numpy()


def _beyond(per_s: int, ticks: npt.NDArray[np.int64]) -> Mask:
    out: npt.NDArray[np.bool_] = (ticks < TIME_MIN_S * per_s) | (ticks >= (TIME_MAX_S + 1) * per_s)
    return out if out.any() else None


def store(vector: Vector, kind: Kind, rows: int) -> tuple[pa.Array, Mask]:
    """A vector as an Arrow array of `rows` rows, null where it is null or failed; and the failed rows."""
    hidden = either(vector.null, vector.failed)
    if kind is Kind.STRING:
        values = vector.values if isinstance(vector.values, pa.Array) else pa.repeat(vector.values, rows)
        if hidden is not None:
            values = pc.if_else(pa.array(np.broadcast_to(hidden, (rows,))), pa.scalar(None, pa.string()), values)
    else:
        values = pa.array(np.broadcast_to(vector.values, (rows,)), mask=None if hidden is None else np.broadcast_to(hidden, (rows,)))
        if kind is Kind.TIME:
            values = values.cast(ARROW[kind])
    return values, None if vector.failed is None else np.broadcast_to(vector.failed, (rows,))


def either(*masks: Mask) -> Mask:
    """Rows in any of the masks."""
    found = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else found | mask
    return found


def _flags(answer: Any) -> Any:
    """What Arrow answers to a question, as NumPy."""
    return flags(answer) if isinstance(answer, pa.Array) else np.bool_(answer.as_py())


def as_double(vector: Vector) -> Vector:
    """Integers as the nearest doubles: how the library compares the two."""
    return vector._replace(values=np.asarray(vector.values, dtype=np.float64))


_ORDER: Mapping[str, tuple[Callable[[Any, Any], Any], Callable[..., Any]]] = {
    "<": (operator.lt, pc.less),
    "<=": (operator.le, pc.less_equal),
    ">": (operator.gt, pc.greater),
    ">=": (operator.ge, pc.greater_equal),
}


def ordered(sign: str, kind: Kind, left: Vector, right: Vector) -> Vector:
    """`<`, `<=`, `>`, `>=` of two vectors of a kind; null and NaN have no order and fail."""
    failed = either(left.failed, right.failed, left.null, right.null)
    plain, arrow = _ORDER[sign]
    if kind is Kind.STRING:
        return Vector(_flags(arrow(left.values, right.values)), None, failed)
    if kind is Kind.DOUBLE:
        lost = np.isnan(left.values) | np.isnan(right.values)
        failed = either(failed, lost) if lost.any() else failed
    return Vector(plain(left.values, right.values), None, failed)


def equal(kind: Kind, left: Vector, right: Vector) -> Vector:
    """`==` of two vectors of a kind; null equals null alone."""
    same = _flags(pc.equal(left.values, right.values)) if kind is Kind.STRING else left.values == right.values
    if left.null is not None or right.null is not None:
        first = np.False_ if left.null is None else left.null
        second = np.False_ if right.null is None else right.null
        same = (same & ~first & ~second) | (first & second)
    return Vector(same, None, either(left.failed, right.failed))


def is_null(vector: Vector) -> Vector:
    """`x == null`"""
    return Vector(np.False_ if vector.null is None else vector.null, None, vector.failed)


def among(vector: Vector, words: pa.Array) -> Vector:
    """`x in [...]` for strings."""
    found = _flags(pc.is_in(vector.values, value_set=words))
    return Vector(found if vector.null is None else found & ~vector.null, None, vector.failed)


def all_of(left: Vector, right: Vector) -> Vector:
    """`&&`: a false side decides, whatever the other one is."""
    return _decided(left, right, decides=False)


def any_of(left: Vector, right: Vector) -> Vector:
    """`||`: a true side decides, whatever the other one is."""
    return _decided(left, right, decides=True)


def _decided(left: Vector, right: Vector, *, decides: bool) -> Vector:
    first, second = either(left.null, left.failed), either(right.null, right.failed)
    one = left.values if decides else ~left.values
    two = right.values if decides else ~right.values
    sure = (one if first is None else one & ~first) | (two if second is None else two & ~second)
    bad = either(first, second)
    return Vector(sure if decides else ~sure, None, None if bad is None else bad & ~sure)


def choose(kind: Kind, test: Vector, yes: Vector, no: Vector) -> Vector:
    """`test ? yes : no`; what the other branch is does not matter."""
    bad = either(test.null, test.failed)

    def picked(first: Mask, second: Mask) -> Mask:
        if first is None and second is None:
            return None
        return np.where(test.values, np.False_ if first is None else first, np.False_ if second is None else second)

    if kind is Kind.STRING:
        flags = pa.array(test.values) if np.ndim(test.values) else pa.scalar(bool(test.values))
        values = pc.if_else(flags, yes.values, no.values)
    else:
        values = np.where(test.values, yes.values, no.values)
    return Vector(values, picked(yes.null, no.null), either(bad, picked(yes.failed, no.failed)))
