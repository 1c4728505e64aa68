"""Avro as its specification says it, read and written one value at a time: what the codecs are held against. Imports no codec of Weft's.

Datums are what the bytes say: no logical type, an enum by its symbol.
"""

import struct
from typing import Any

from schemas.vocabulary import Reason

BITS = {"int": 32, "long": 64}
FLOATS = {"float": "<f", "double": "<d"}


class Wrong(Exception):
    """These bytes are no datum."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def read(schema: Any, value: bytes, start: int = 0) -> Any:
    """The datum that the bytes from `start` on are, all of them.

    Raises:
        Wrong: they are none.
    """
    try:
        source = _Source(value, start, {})
        datum = source.datum(schema)
    except RecursionError:
        raise Wrong(Reason.WRONG_TYPE) from None
    if source.at != len(value):
        raise Wrong(Reason.TRAILING_BYTES)
    return datum


class _Source:
    def __init__(self, value: bytes, at: int, names: dict[str, Any]) -> None:
        self.value, self.at, self.names = value, at, names

    def taken(self, size: int) -> bytes:
        if size > len(self.value) - self.at:
            raise Wrong(Reason.TRUNCATED)
        self.at += size
        return self.value[self.at - size : self.at]

    def number(self, bits: int = 64) -> int:
        raw = 0
        for shift in range(0, 70, 7):
            byte = self.taken(1)[0]
            raw |= (byte & 127) << shift
            if byte < 128:
                break
        else:
            raise Wrong(Reason.OUT_OF_RANGE)
        if raw >= 1 << bits:
            raise Wrong(Reason.OUT_OF_RANGE)
        return raw // 2 if raw % 2 == 0 else -(raw // 2) - 1

    def index(self, count: int) -> int:
        number = self.number()
        if not 0 <= number < count:
            raise Wrong(Reason.WRONG_TYPE)
        return number

    def bytes(self) -> bytes:
        size = self.number()
        if size < 0:
            raise Wrong(Reason.WRONG_TYPE)
        return self.taken(size)

    def text(self) -> str:
        try:
            return self.bytes().decode()
        except UnicodeDecodeError:
            raise Wrong(Reason.INVALID_UTF8) from None

    def datum(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return self.datum(schema[self.index(len(schema))])
        if isinstance(schema, str):
            return self.datum(self.names[schema]) if schema in self.names else self.plain(schema)
        match schema["type"]:
            case "record" | "enum" | "fixed":
                return self.named(schema)
            case "array":
                return self.items(schema["items"])
            case "map":
                return dict(self.items(schema["values"], keyed=True))
        return self.plain(schema["type"])

    def named(self, schema: Any) -> Any:
        self.names[schema["name"]] = schema
        match schema["type"]:
            case "record":
                return {field["name"]: self.datum(field["type"]) for field in schema["fields"]}
            case "enum":
                return schema["symbols"][self.index(len(schema["symbols"]))]
        return self.taken(schema["size"])

    def items(self, schema: Any, keyed: bool = False) -> list[Any]:
        found: list[Any] = []
        while count := self.number():
            end = -1
            if count < 0:
                size = self.number()
                if size < 0:
                    raise Wrong(Reason.WRONG_TYPE)
                end = self.at + size
                if end > len(self.value):
                    raise Wrong(Reason.TRUNCATED)
            for _ in range(abs(count)):
                found.append((self.text(), self.datum(schema)) if keyed else self.datum(schema))
            if end not in (-1, self.at):
                raise Wrong(Reason.WRONG_TYPE)
        return found

    def plain(self, kind: str) -> Any:
        match kind:
            case "null":
                return None
            case "boolean":
                byte = self.taken(1)[0]
                if byte > 1:
                    raise Wrong(Reason.WRONG_TYPE)
                return byte == 1
            case "int" | "long":
                return self.number(BITS[kind])
            case "float" | "double":
                return struct.unpack(FLOATS[kind], self.taken(struct.calcsize(FLOATS[kind])))[0]
            case "bytes":
                return self.bytes()
        return self.text()


def varint(number: int, padded: int = 0) -> bytes:
    """A number; `padded` bytes longer than it need be."""
    left = number * 2 if number >= 0 else -number * 2 - 1
    out = bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    out.append(left)
    for _ in range(padded):
        out[-1] |= 128
        out.append(0)
    return bytes(out)


def write(schema: Any, datum: Any, names: dict[str, Any] | None = None) -> bytes:
    """A datum's bytes. Of a union the first branch that fits is taken."""
    names = {} if names is None else names
    if isinstance(schema, list):
        at = next(at for at, branch in enumerate(schema) if (branch == "null") == (datum is None))
        return varint(at) + write(schema[at], datum, names)
    if isinstance(schema, str):
        return write(names[schema], datum, names) if schema in names else _plain(schema, datum)
    match schema["type"]:
        case "record" | "enum" | "fixed":
            return _named(schema, datum, names)
        case "array":
            return _block([write(schema["items"], item, names) for item in datum])
        case "map":
            return _block([_plain("string", key) + write(schema["values"], item, names) for key, item in datum.items()])
    return _plain(schema["type"], datum)


def _named(schema: Any, datum: Any, names: dict[str, Any]) -> bytes:
    names[schema["name"]] = schema
    match schema["type"]:
        case "record":
            return b"".join(write(field["type"], datum[field["name"]], names) for field in schema["fields"])
        case "enum":
            return varint(schema["symbols"].index(datum))
    return bytes(datum)


def _block(items: list[bytes]) -> bytes:
    return (varint(len(items)) if items else b"") + b"".join(items) + b"\0"


def _plain(kind: str, datum: Any) -> bytes:
    match kind:
        case "null":
            return b""
        case "boolean":
            return b"\1" if datum else b"\0"
        case "int" | "long":
            return varint(datum)
        case "float" | "double":
            return struct.pack(FLOATS[kind], datum)
        case "bytes":
            return varint(len(datum)) + bytes(datum)
    raw = datum.encode()
    return varint(len(raw)) + bytes(raw)
