"""Both codecs of Avro on the same values: what the columnar one reads, the reference reads alike, and the reader by hand too."""

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from schemas.codecs.avro_columns import AvroDecoder
from schemas.codecs.decoder import Decoded
from schemas.codecs.frame import Frame
from schemas.codecs.layout import Layout
from schemas.contracts import Contract
from tests.fuzz import avro_by_hand as by_hand
from tests.fuzz.avro_by_hand import Wrong

ALONE = 4
"""Of so many bad values one is also read as a batch of its own."""


class Both:
    """The decoders of one schema behind one frame."""

    def __init__(self, schema: Any, prefix: bytes) -> None:
        self._schema, self._prefix = schema, prefix
        contract = Contract.of(schema)
        self._layout = Layout.of(contract.schema)
        self._columnar, self._reference = AvroDecoder(contract.schema, Frame(prefix)), AvroDecoder(contract.schema, Frame(prefix))
        self._reference._columnar = None

    def differences(self, values: Sequence[bytes]) -> list[str]:
        """What they don't agree about, value by value; values with another frame are left out."""
        mine = [value for value in values if value.startswith(self._prefix)]
        one, other = self._columnar.decode(mine), self._reference.decode(mine)
        found = [] if (one.good.tolist(), list(one.bad)) == (other.good.tolist(), list(other.bad)) else ["they accept different values"]
        if not one.columns.equals(other.columns) and not _same(self._rows(one), self._rows(other)):
            found.append("they read different columns")
        return found + self._against_hand(mine, one)

    def _against_hand(self, values: Sequence[bytes], decoded: Decoded) -> list[str]:
        rows = dict(zip(decoded.good.tolist(), self._rows(decoded), strict=True))
        found = []
        for at, value in enumerate(values):
            try:
                datum = by_hand.read(self._schema, value, len(self._prefix))
            except Wrong:
                datum = None
            if at not in rows and at % ALONE == 0 and self._columnar.whole([value]) is not None:
                found.append(f"{value!r} passes where it is alone")
            if at in rows and not _same(rows[at], datum):
                found.append(f"{value!r} is read as {rows[at]}, by hand {datum}")
        return found

    def _rows(self, decoded: Decoded) -> list[dict[str, Any]]:
        """Rows as what the bytes say."""
        fields = zip(decoded.columns, self._layout.fields, strict=True)
        lists = [_plain(column, field.kind.plain).to_pylist(maps_as_pydicts="lossy") for column, field in fields]
        return [dict(zip((field.name for field in self._layout.fields), row, strict=True)) for row in zip(*lists, strict=True)]


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(column.type):
        return pa.array([None if value is None else _unscaled(int(value.scaleb(column.type.scale))) for value in column.to_pylist()], kind)
    return column.cast(kind, safe=False)


def _unscaled(number: int) -> bytes:
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)


def _same(left: Any, right: Any) -> bool:
    """Equal; NaN is NaN, and a decimal the number that it is, however many bytes it has."""
    match left, right:
        case float(), float():
            return left == right or (math.isnan(left) and math.isnan(right))
        case dict(), dict():
            return left.keys() == right.keys() and all(
                _same_price(left[key], right[key]) if key == "price" else _same(left[key], right[key]) for key in left
            )
        case list(), list():
            return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _same_price(left: bytes, right: bytes) -> bool:
    return int.from_bytes(left, "big", signed=True) == int.from_bytes(right, "big", signed=True)
