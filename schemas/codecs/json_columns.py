"""JSON objects to Arrow columns by an Avro schema, strictly (`json_values` has the forms)."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from schemas.codecs.casting import meaning
from schemas.codecs.decoder import Bad, Decoded, joined
from schemas.codecs.json_values import MISSING, Misfit, Read, aliases, fields, renamed
from schemas.codecs.layout import Field, Layout
from schemas.vocabulary import Reason

_PLAIN: Final[dict[pa.DataType, set[type]]] = {
    pa.bool_(): {bool},
    pa.int32(): {int},
    pa.int64(): {int},
    pa.float64(): {float},
    pa.string(): {str},
}
"""Types whose JSON values Arrow takes as they are."""


class JsonDecoder:
    """Reads JSON objects of one schema."""

    def __init__(self, schema: Any) -> None:
        """Of a schema whose names are written out (`Contract.schema`).

        Raises:
            ValueError: a field has no column type.
        """
        self._layout = Layout.of(schema)
        self._readers, self._older = fields(schema), aliases(schema)
        self.arrow_schema: Final = self._layout.arrow

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Decode n values."""
        bad: list[Bad] = []
        objects: list[Any] = []
        good: list[int] = []
        for row, value in enumerate(values):
            found = parsed(value)
            if isinstance(found, Misfit):
                bad.append(Bad(row, found.reason, found.sentence))
            else:
                objects.append(found)
                good.append(row)
        return self.columns(objects, good, bad)

    def columns(self, objects: Sequence[dict[str, Any]], rows: Sequence[int], bad: Sequence[Bad]) -> Decoded:
        """Objects as columns; `rows` says which value each was, `bad` those that were none."""
        if self._older:
            objects = [renamed(one, self._older) for one in objects]
        try:
            arrays = [_column(field, self._readers[field.name], objects) for field in self._layout.fields]
            return joined(self.arrow_schema, [meaning(self._layout, arrays)], rows, bad)
        except (Misfit, ValueError, OverflowError):
            return self._each(objects, rows, list(bad))

    def _each(self, objects: Sequence[dict[str, Any]], rows: Sequence[int], bad: list[Bad]) -> Decoded:
        """Row by row: some don't fit."""
        datums: list[dict[str, Any]] = []
        good: list[int] = []
        for row, value in zip(rows, objects, strict=True):
            try:
                datum = {name: read(value.get(name, MISSING)) for name, read in self._readers.items()}
                meaning(self._layout, self._arrays([datum]))
                datums.append(datum)
                good.append(row)
            except Misfit as misfit:
                bad.append(Bad(row, misfit.reason, misfit.sentence))
            except ValueError as error:
                bad.append(Bad(row, Reason.OUT_OF_RANGE, str(error)))
        return joined(self.arrow_schema, [meaning(self._layout, self._arrays(datums))], good, bad)

    def _arrays(self, datums: Sequence[dict[str, Any]]) -> list[pa.Array]:
        return [pa.array([datum[f.name] for datum in datums], f.kind.plain) for f in self._layout.fields]


def parsed(value: bytes) -> dict[str, Any] | Misfit:
    """The JSON object of a value, or why there is none."""
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        try:
            value.decode()
        except UnicodeDecodeError as utf8:
            return Misfit(Reason.INVALID_UTF8, f"the value is not UTF-8 (byte {utf8.start} of {len(value)})")
        return Misfit(Reason.NOT_JSON, f"the value is no JSON: {error}")
    return found if type(found) is dict else Misfit(Reason.WRONG_TYPE, "the value is no JSON object")


def _column(field: Field, read: Read, objects: Sequence[dict[str, Any]]) -> pa.Array:
    """One field of all objects, plain.

    Raises:
        Misfit, ValueError, OverflowError: some value does not fit.
    """
    name, kind = field.name, field.kind
    values = [found.get(name, MISSING) for found in objects]
    types = set(map(type, values))
    if field.kind.nullable:
        types.discard(type(None))
    fits = _PLAIN.get(kind.plain)
    if fits is not None and types <= fits and not kind.symbols and not kind.logical:
        return pa.array(values, kind.plain)
    return pa.array([read(value) for value in values], kind.plain)
