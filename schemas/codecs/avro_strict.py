"""Says what is wrong with an Avro datum, at which byte and in which field. The strict reading of the specification that every codec
here keeps.

Readers differ about what they let pass. Here a datum is good if it is a datum of the schema and nothing else: a boolean is 0 or 1, a
length is not negative, an index is in its range, a string is UTF-8, a number fits its type, and the value ends where the datum does. A
varint may be longer than it needs to be (as Java's reader allows), up to ten bytes.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from schemas.vocabulary import Reason


class Fault(NamedTuple):
    """What is wrong with a value."""

    reason: Reason
    sentence: str


class _Broken(Exception):
    """Found while walking; knows its byte, and learns its field on the way out."""

    def __init__(self, reason: Reason, at: int, what: str) -> None:
        super().__init__(what)
        self.reason = reason
        self.at = at
        self.what = what
        self.path: list[str] = []


Walk = Callable[[bytes, int], int]
"""Steps over one datum in a value, from a byte to the byte behind it."""

_VARINT_BYTES: Final = 10
_WIDTHS: Final[Mapping[str, int]] = {"float": 4, "double": 8}
_BITS: Final[Mapping[str, int]] = {"int": 32, "long": 64}
_WORDS: Final = frozenset({"null", "boolean", "string", "bytes", *_BITS, *_WIDTHS})


class Strict:
    """Checks values of one schema, whose names are written out in full; it may hold itself."""

    def __init__(self, schema: Any, start: int = 0) -> None:
        self._walk = _walk(schema, {})
        self._start = start  # bytes of framing before the datum

    def fault(self, value: bytes) -> Fault | None:
        """What is wrong; None if nothing is."""
        try:
            end = self._walk(value, self._start)
        except _Broken as broken:
            where = f"field {'.'.join(reversed(broken.path))}: " if broken.path else ""
            return Fault(broken.reason, f"{where}{broken.what} (byte {broken.at} of {len(value)})")
        except RecursionError:
            return Fault(Reason.WRONG_TYPE, "the datum holds itself too many times over")
        if end == len(value):
            return None
        return Fault(Reason.TRAILING_BYTES, f"the datum ends at byte {end}, the value goes on to byte {len(value)}")


def _walk(schema: Any, names: dict[str, Walk]) -> Walk:
    """The walk over a type."""
    if isinstance(schema, list):
        return _union([_walk(branch, names) for branch in schema])
    if isinstance(schema, str):
        return _primitive(schema) if schema in _WORDS else _later(schema, names)
    match schema["type"]:
        case "array":
            return _blocks(_walk(schema["items"], names))
        case "map":
            return _blocks(_pair(_walk(schema["values"], names)))
        case "record" | "error" | "enum" | "fixed" as word:
            walk = _record(schema, names) if word in ("record", "error") else _sized(schema)
            names[schema["name"]] = walk
            return walk
        case inner:
            return _walk(inner, names)


def _later(name: str, names: Mapping[str, Walk]) -> Walk:
    """The walk over a type that is named again, perhaps within itself, where it is not known yet."""

    def walk(value: bytes, at: int) -> int:
        return names[name](value, at)

    return walk


def _sized(schema: Mapping[str, Any]) -> Walk:
    """The walk over an enum or fixed."""
    return _enum(len(schema["symbols"])) if schema["type"] == "enum" else _bytes(schema["size"])


def _primitive(name: str) -> Walk:
    """The walk over a primitive."""
    match name:
        case "null":
            return lambda value, at: at
        case "boolean":
            return _boolean
        case "string":
            return _string
        case "bytes":
            return lambda value, at: _length(value, at)[1]
        case "int" | "long":
            bits = _BITS[name]
            return lambda value, at: _number(value, at, bits)[1]
        case _:
            return _bytes(_WIDTHS[name])


def _number(value: bytes, at: int, bits: int = 64) -> tuple[int, int]:
    """A zigzag varint that fits, and the byte behind it."""
    raw = 0
    for index in range(_VARINT_BYTES):
        if at + index >= len(value):
            raise _Broken(Reason.TRUNCATED, len(value), "the value ends within a number")
        byte = value[at + index]
        raw |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            break
    else:
        raise _Broken(Reason.OUT_OF_RANGE, at, "a number goes on for more than ten bytes")
    if raw >> bits:
        raise _Broken(Reason.OUT_OF_RANGE, at, f"a number does not fit {bits} bits")
    return (raw >> 1) ^ -(raw & 1), at + index + 1


def _end(value: bytes, at: int, size: int) -> int:
    """The byte behind `size` bytes."""
    if at + size > len(value):
        raise _Broken(Reason.TRUNCATED, len(value), f"the value ends where {at + size - len(value)} more bytes are needed")
    return at + size


def _length(value: bytes, at: int) -> tuple[int, int]:
    """Where counted bytes begin and end."""
    size, start = _number(value, at)
    if size < 0:
        raise _Broken(Reason.WRONG_TYPE, at, f"a length is {size}")
    return start, _end(value, start, size)


def _bytes(size: int) -> Walk:
    """So many bytes of any value."""
    return lambda value, at: _end(value, at, size)


def _boolean(value: bytes, at: int) -> int:
    """0 or 1."""
    end = _end(value, at, 1)
    if value[at] > 1:
        raise _Broken(Reason.WRONG_TYPE, at, f"a boolean is {value[at]}, neither 0 nor 1")
    return end


def _string(value: bytes, at: int) -> int:
    """UTF-8 after its length in bytes."""
    start, end = _length(value, at)
    try:
        value[start:end].decode()
    except UnicodeDecodeError as error:
        raise _Broken(Reason.INVALID_UTF8, start + error.start, "a string is not UTF-8") from error
    return end


def _enum(count: int) -> Walk:
    """An index below count."""

    def walk(value: bytes, at: int) -> int:
        index, end = _number(value, at)
        if not 0 <= index < count:
            raise _Broken(Reason.WRONG_TYPE, at, f"an enum has {count} symbols, the value names number {index}")
        return end

    return walk


def _union(branches: list[Walk]) -> Walk:
    """An index of a branch, then that branch."""

    def walk(value: bytes, at: int) -> int:
        index, start = _number(value, at)
        if not 0 <= index < len(branches):
            raise _Broken(Reason.WRONG_TYPE, at, f"a union has {len(branches)} branches, the value names number {index}")
        return branches[index](value, start)

    return walk


def _record(schema: Mapping[str, Any], names: dict[str, Walk]) -> Walk:
    """One field after another."""
    fields = [(entry["name"], _walk(entry["type"], names)) for entry in schema["fields"]]

    def walk(value: bytes, at: int) -> int:
        for name, step in fields:
            try:
                at = step(value, at)
            except _Broken as broken:
                broken.path.append(name)
                raise
        return at

    return walk


def _pair(item: Walk) -> Walk:
    """A key and a value of a map."""
    return lambda value, at: item(value, _string(value, at))


def _blocks(item: Walk) -> Walk:
    """Blocks of items: a count, or a negative count and the block's size in bytes; a count of zero ends them."""

    def walk(value: bytes, at: int) -> int:
        while True:
            start = at
            count, at = _number(value, at)
            if count == 0:
                return at
            size, end = (0, 0) if count > 0 else _size(value, at)
            at = at if count > 0 else end - size
            for _ in range(abs(count)):
                at = item(value, at)
            if count < 0 and at != end:
                raise _Broken(Reason.WRONG_TYPE, start, f"a block says that it has {size} bytes, and ends elsewhere")

    return walk


def _size(value: bytes, at: int) -> tuple[int, int]:
    """The size of a block, and where it must end."""
    start, end = _length(value, at)
    return end - start, end
