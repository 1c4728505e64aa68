"""JSON values as the datums of an Avro type, strictly: nothing is turned into something else without being asked.

| Avro                        | JSON                                                                            |
|-----------------------------|---------------------------------------------------------------------------------|
| boolean, string, enum, null | the same                                                                        |
| int, long                   | a number without fraction or exponent, in range                                 |
| float, double               | a number, in range                                                              |
| bytes, fixed                | base64 text                                                                     |
| decimal                     | text ("12.50"), or a whole number; no more digits than the type has             |
| date, time, timestamp       | ISO 8601 text; a timestamp needs its offset, a local one may have none; or the  |
|                             | whole number that Avro would write                                              |
| array, map, record          | array, object, object; a record's missing field takes its default, an unknown   |
|                             | one is passed over; fields are found by name or alias                           |
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas.codecs.json_times import DAYS, parser
from schemas.vocabulary import Reason

Read = Callable[[Any], Any]
"""Turns a JSON value into what the bytes of a datum are (no logical types)."""

MISSING: Final = object()  # stands for a field that is not there

_BITS: Final = {"int": 31, "long": 63}
_FLOAT_MAX: Final = 3.4028235677973366e38  # what still rounds to a float


class Misfit(Exception):
    """A JSON value is no datum; learns its field on the way out."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason = reason
        self.what = what
        self.path: list[str] = []

    @property
    def sentence(self) -> str:
        """Where, and what."""
        return f"field {'.'.join(reversed(self.path))}: {self.what}" if self.path else self.what


def reader(schema: Any, names: dict[str, Read] | None = None) -> Read:
    """How values of an Avro type are read (of a schema that has a layout)."""
    names = {} if names is None else names
    if isinstance(schema, list):
        return _nullable(reader(next(branch for branch in schema if branch not in ("null", {"type": "null"})), names))
    if isinstance(schema, str):
        return names[schema] if schema in names else _primitive(schema, {})
    match schema["type"]:
        case "array":
            return _array(reader(schema["items"], names))
        case "map":
            return _map(reader(schema["values"], names))
        case "record" | "error" | "enum" | "fixed" as word:
            found = _record(schema, names) if word in ("record", "error") else _enum(schema) if word == "enum" else _fixed(schema)
            names[schema["name"]] = found
            return found
        case str(name) if name not in names:
            return _primitive(name, schema)
        case inner:
            return reader(inner, names)


def fields(schema: Mapping[str, Any], names: dict[str, Read] | None = None) -> dict[str, Read]:
    """How each field of a record is read; a reader takes MISSING for a field that is not there."""
    names = {} if names is None else names
    return {entry["name"]: _field(entry, names) for entry in schema["fields"]}


def aliases(schema: Mapping[str, Any]) -> dict[str, str]:
    """The older names of a record's fields, with those that they have now."""
    return {alias: entry["name"] for entry in schema["fields"] for alias in entry.get("aliases", ())}


def renamed(value: dict[str, Any], older: Mapping[str, str]) -> dict[str, Any]:
    """An object with its fields by the names that they have now; as in Avro a field's own name comes before its aliases."""
    found = {older[name]: part for name, part in reversed(value.items()) if name in older}
    return found | value if found else value


def _field(entry: Mapping[str, Any], names: dict[str, Read]) -> Read:
    name, read = entry["name"], reader(entry["type"], names)
    default = _default(entry, read) if "default" in entry else MISSING

    def field(value: Any) -> Any:
        if value is MISSING and default is not MISSING:
            return default
        try:
            if value is MISSING:
                raise Misfit(Reason.WRONG_TYPE, "it is missing, and has no default")
            return read(value)
        except Misfit as misfit:
            misfit.path.append(name)
            raise

    return field


def _default(entry: Mapping[str, Any], read: Read) -> Any:
    """A default as a datum; in a schema bytes are written as text of code points 0-255."""
    default = entry["default"]
    if default is None or isinstance(default, bool | int | float):
        return default
    kinds = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
    words = [kind.get("type") if isinstance(kind, Mapping) else kind for kind in kinds]
    return default.encode("latin-1") if isinstance(default, str) and ("bytes" in words or "fixed" in words) else read(default)


def _wrong(wanted: str, value: Any) -> Misfit:
    said = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "an array", dict: "an object"}
    return Misfit(Reason.WRONG_TYPE, f"{wanted} is needed, not {said.get(type(value), 'null')}")


def _nullable(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _primitive(name: str, schema: Mapping[str, Any]) -> Read:
    logical = schema.get("logicalType", "")
    match name:
        case "null":
            return _null
        case "boolean":
            return _of(bool, "true or false")
        case "string":
            return _of(str, "text")
        case "int" | "long":
            return _moment(_whole(name), logical)
        case "float" | "double":
            return _number(name)
        case _:
            return _decimal(schema, None) if logical == "decimal" and schema.get("precision", 0) > 0 else _base64


def _null(value: Any) -> None:
    if value is not None:
        raise _wrong("null", value)


def _of(kind: type, wanted: str) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise _wrong(wanted, value)
        return value

    return read


def _whole(name: str) -> Read:
    bound = 1 << _BITS[name]

    def read(value: Any) -> int:
        if type(value) is float and value.is_integer() and abs(value) >= bound:
            raise Misfit(Reason.OUT_OF_RANGE, f"{value} does not fit {name}")
        if type(value) is not int:
            raise _wrong("a whole number", value)
        if not -bound <= value < bound:
            raise Misfit(Reason.OUT_OF_RANGE, f"{value} does not fit {name}")
        return int(value)

    return read


def _number(name: str) -> Read:
    def read(value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise _wrong("a number", value)
        if name == "float" and abs(value) >= _FLOAT_MAX:
            raise Misfit(Reason.OUT_OF_RANGE, f"{value} does not fit float")
        return float(value)

    return read


def _base64(value: Any) -> bytes:
    if type(value) is not str:
        raise _wrong("base64 text", value)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misfit(Reason.WRONG_TYPE, f"this is no base64: {error}") from error


def _fixed(schema: Mapping[str, Any]) -> Read:
    size = schema["size"]
    if schema.get("logicalType") == "decimal" and schema.get("precision", 0) > 0:
        return _decimal(schema, size)

    def read(value: Any) -> bytes:
        found = _base64(value)
        if len(found) != size:
            raise Misfit(Reason.WRONG_TYPE, f"{size} bytes are needed, not {len(found)}")
        return found

    return read


def _enum(schema: Mapping[str, Any]) -> Read:
    symbols = frozenset(schema["symbols"])

    def read(value: Any) -> Any:
        if type(value) is not str or value not in symbols:
            raise Misfit(Reason.WRONG_TYPE, f"one of {', '.join(sorted(symbols))} is needed")
        return value

    return read


def _decimal(schema: Mapping[str, Any], size: int | None) -> Read:
    precision, scale = schema["precision"], schema.get("scale", 0)

    def read(value: Any) -> bytes:
        if type(value) is not str and type(value) is not int:
            raise _wrong("a decimal as text", value)
        try:
            number = Decimal(value)
        except InvalidOperation as error:
            raise Misfit(Reason.WRONG_TYPE, "this is no decimal") from error
        if not number.is_finite() or number.adjusted() + scale >= precision or (number and number.as_tuple().exponent < -scale):
            raise Misfit(Reason.OUT_OF_RANGE, f"a decimal of {precision} digits, {scale} of them behind the point, is needed")
        unscaled = int(f"{number:f}".replace(".", "") + "0" * (scale + min(0, int(number.as_tuple().exponent)))) if number else 0
        try:
            return unscaled.to_bytes(size or (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1, "big", signed=True)
        except OverflowError as error:
            raise Misfit(Reason.OUT_OF_RANGE, f"it does not fit {size} bytes") from error

    return read


def _moment(whole: Read, logical: str) -> Read:
    """Dates and times: text, or the whole number."""
    parse = parser(logical)
    if parse is None:
        return whole
    limit = DAYS.get(logical, 0)

    def read(value: Any) -> Any:
        if type(value) is str:
            try:
                value = parse(value)
            except (ValueError, OverflowError) as error:
                raise Misfit(Reason.WRONG_TYPE, f"this is no {logical}: {error}") from error
        number = whole(value)
        if limit and not 0 <= number < limit:
            raise Misfit(Reason.OUT_OF_RANGE, f"{number} is no time of day")
        return number

    return read


def _array(item: Read) -> Read:
    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _wrong("an array", value)
        return [item(part) for part in value]

    return read


def _map(item: Read) -> Read:
    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _wrong("an object", value)
        return {key: item(part) for key, part in value.items()}

    return read


def _record(schema: Mapping[str, Any], names: dict[str, Read]) -> Read:
    parts, older = fields(schema, names), aliases(schema)

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _wrong("an object", value)
        value = renamed(value, older)
        return {name: part(value.get(name, MISSING)) for name, part in parts.items()}

    return read
