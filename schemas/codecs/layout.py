"""How an Avro schema lies in Arrow columns: the one convention that every codec keeps.

| Avro                                   | Arrow                                                        |
|----------------------------------------|--------------------------------------------------------------|
| boolean, int, long, float, double      | bool, int32, int64, float, double                            |
| string, enum, uuid                     | string                                                       |
| bytes, fixed(n)                        | binary, fixed_size_binary(n)                                 |
| date                                   | date32                                                       |
| time-millis, time-micros               | time32(ms), time64(us)                                       |
| timestamp-millis, -micros, -nanos      | timestamp(ms, us, ns) in UTC                                 |
| local-timestamp-millis, -micros, -nanos| timestamp(ms, us, ns) without a zone                         |
| decimal on bytes or fixed              | decimal128(precision, scale); only as a field of the record  |
| array, map, record                     | list, map(string), struct                                    |
| null                                   | null; only as a field of the record                          |
| [null, T] and [T, null]                | T, nullable                                                  |

Anything else has no column: unions of several types, records that hold themselves, arrays whose items take no bytes (a hostile count
would fill the memory). A logical type that Avro does not name is ignored, as Avro says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

_PRIMITIVES: Final[Mapping[str, pa.DataType]] = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
}
_COLUMNAR: Final[Mapping[str, str | None]] = {"bytes": "string", "null": None}
_LOGICAL: Final[Mapping[tuple[str, str], pa.DataType]] = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    **{("long", f"timestamp-{name}"): pa.timestamp(unit, "UTC") for name, unit in (("millis", "ms"), ("micros", "us"), ("nanos", "ns"))},
    **{("long", f"local-timestamp-{name}"): pa.timestamp(unit) for name, unit in (("millis", "ms"), ("micros", "us"), ("nanos", "ns"))},
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One Avro type in both worlds."""

    avro: Any  # the type without logical types and without names that clash: what the bytes are
    columnar: Any  # the same for the columnar codec, which reads bytes as unchecked strings; None if it can't
    plain: pa.DataType  # what the bytes are, in Arrow
    arrow: pa.DataType  # what they mean, in Arrow
    logical: str = ""
    nullable: bool = False
    empty: bool = False  # may take no bytes at all
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the top record."""

    name: str
    kind: Kind
    aliases: tuple[str, ...] = ()
    default: Any = None
    has_default: bool = False


@dataclass(slots=True)
class _Names:
    """The named types met so far, and a source of fresh names."""

    known: dict[str, Any] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    count: int = 0

    def fresh(self) -> str:
        self.count += 1
        return f"n{self.count}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A record schema as columns."""

    fields: tuple[Field, ...]

    @classmethod
    def of(cls, schema: Any) -> "Layout":
        """The layout of a parsed schema (names are full).

        Raises:
            ValueError: a field has no column type; the sentence names it.
        """
        if not isinstance(schema, Mapping) or schema.get("type") not in ("record", "error"):
            raise ValueError("only a record becomes columns")
        if not schema["fields"]:
            raise ValueError("a record without fields becomes no columns")
        names = _Names()
        names.known[schema["name"]] = schema
        names.open.add(schema["name"])
        return cls(tuple(_field(entry, names) for entry in schema["fields"]))

    @property
    def arrow(self) -> pa.Schema:
        """The columns."""
        return pa.schema([pa.field(f.name, f.kind.arrow, nullable=f.kind.nullable) for f in self.fields])

    @property
    def avro(self) -> Any:
        """The record without logical types: what the reference codec reads and writes."""
        return {"type": "record", "name": "n0", "fields": [{"name": f.name, "type": f.kind.avro} for f in self.fields]}

    @property
    def columnar(self) -> bool:
        """Whether the columnar codec can do it."""
        return all(f.kind.columnar is not None for f in self.fields)


def _field(entry: Mapping[str, Any], names: _Names) -> Field:
    """A field of the top record."""
    try:
        kind = _kind(entry["type"], names, top=True)
    except ValueError as error:
        raise ValueError(f"field {entry['name']}: {error}") from error
    return Field(entry["name"], kind, tuple(entry.get("aliases", ())), entry.get("default"), "default" in entry)


def _kind(schema: Any, names: _Names, top: bool = False) -> Kind:
    """The kind of an Avro type."""
    if isinstance(schema, str):
        return _primitive(schema, {}, top) if schema in _PRIMITIVES else _named(names.known.get(schema), names, top)
    if isinstance(schema, list):
        return _union(schema, names, top)
    match schema["type"]:
        case "array" | "map":
            return _many(schema, names)
        case "record" | "error" | "enum" | "fixed":
            names.known[schema["name"]] = schema
            return _named(schema, names, top)
        case str(name) if name in _PRIMITIVES:
            return _primitive(name, schema, top)
        case inner:
            return _kind(inner, names, top)


def _union(branches: list[Any], names: _Names, top: bool) -> Kind:
    """null and one type."""
    others = [branch for branch in branches if branch not in ("null", {"type": "null"})]
    if len(branches) != 2 or len(others) != 1:
        raise ValueError(f"the union {branches} has no column type; only null and one other type have")
    inner = _kind(others[0], names, top)
    first = branches[0] == others[0]

    def both(kind: Any) -> Any:
        return [kind, "null"] if first else ["null", kind]

    columnar = None if inner.columnar is None else both(inner.columnar)
    return Kind(both(inner.avro), columnar, inner.plain, inner.arrow, inner.logical, True, False, inner.symbols)


def _many(schema: Mapping[str, Any], names: _Names) -> Kind:
    """An array or a map."""
    array = schema["type"] == "array"
    word = "items" if array else "values"
    inner = _kind(schema[word], names)
    if inner.empty:
        raise ValueError("an array or map of things that take no bytes has no column type")

    def lie(of: pa.DataType) -> pa.DataType:
        item = pa.field("item" if array else "value", of, nullable=inner.nullable)
        return pa.list_(item) if array else pa.map_(pa.string(), item)

    columnar = None if inner.columnar is None else {"type": schema["type"], word: inner.columnar}
    return Kind({"type": schema["type"], word: inner.avro}, columnar, lie(inner.plain), lie(inner.arrow))


def _named(schema: Any, names: _Names, top: bool) -> Kind:
    """A record, enum or fixed."""
    match schema:
        case {"type": "enum"}:
            symbols = tuple(schema["symbols"])
            avro = {"type": "enum", "name": names.fresh(), "symbols": list(symbols)}
            return Kind(avro, avro, pa.string(), pa.string(), symbols=symbols)
        case {"type": "fixed"}:
            return _fixed(schema, names, top)
        case {"type": "record" | "error"}:
            return _record(schema, names)
    raise ValueError("a type is named that the schema does not declare")


def _fixed(schema: Mapping[str, Any], names: _Names, top: bool) -> Kind:
    """So many bytes; the columnar codec has no type for them."""
    plain = pa.binary(schema["size"])
    arrow, logical = _decimal(schema, top) or (plain, "")
    return Kind({"type": "fixed", "name": names.fresh(), "size": schema["size"]}, None, plain, arrow, logical, empty=schema["size"] == 0)


def _record(schema: Mapping[str, Any], names: _Names) -> Kind:
    """A record within the record."""
    name = schema["name"]
    if name in names.open:
        raise ValueError(f"the record {name} holds itself")
    names.open.add(name)
    kinds = {entry["name"]: _kind(entry["type"], names) for entry in schema["fields"]}
    names.open.discard(name)
    plain = pa.struct([pa.field(key, kind.plain, nullable=kind.nullable) for key, kind in kinds.items()])
    arrow = pa.struct([pa.field(key, kind.arrow, nullable=kind.nullable) for key, kind in kinds.items()])
    new = names.fresh()
    avro = {"type": "record", "name": new, "fields": [{"name": key, "type": kind.avro} for key, kind in kinds.items()]}
    able = bool(kinds) and all(kind.columnar is not None for kind in kinds.values())
    columnar = {"type": "record", "name": new, "fields": [{"name": key, "type": kind.columnar} for key, kind in kinds.items()]}
    return Kind(avro, columnar if able else None, plain, arrow, empty=all(kind.empty for kind in kinds.values()))


def _primitive(name: str, schema: Mapping[str, Any], top: bool) -> Kind:
    """A primitive, with its logical type if it has one that Avro knows."""
    if name == "null" and not top:
        raise ValueError("a null inside an array, map or record has no column type")
    plain = _PRIMITIVES[name]
    logical = schema.get("logicalType", "")
    if name == "bytes" and (decimal := _decimal(schema, top)):
        return Kind(name, "string", plain, *decimal)
    arrow = _LOGICAL.get((name, logical), plain)
    columnar = _COLUMNAR.get(name, name)
    return Kind(name, columnar, plain, arrow, logical if arrow != plain else "", nullable=name == "null", empty=name == "null")


def _decimal(schema: Mapping[str, Any], top: bool) -> tuple[pa.DataType, str] | None:
    """The decimal type that bytes or fixed stand for."""
    precision, scale = schema.get("precision", 0), schema.get("scale", 0)
    if schema.get("logicalType") != "decimal" or not precision > 0 or not 0 <= scale <= precision:
        return None
    if precision > 38:
        raise ValueError(f"a decimal of {precision} digits has no column type; 38 fit")
    if not top:
        raise ValueError("a decimal inside an array, map or record has no column type")
    return pa.decimal128(precision, scale), "decimal"


def require_bounded(schema: Any) -> None:
    """Refuse a schema by which few bytes may stand for any number of items.

    Raises:
        ValueError: an array has items that take no bytes: a hostile count would fill the memory.
    """
    _bytes(schema, {})


def _bytes(schema: Any, names: dict[str, bool]) -> bool:
    """Whether every value of a type takes a byte at least. Names are full; one that is open holds itself, and is looked at above."""
    if isinstance(schema, list):
        return bool([_bytes(branch, names) for branch in schema])  # the branch's number is a byte
    if isinstance(schema, str):
        return names.get(schema, schema != "null")
    match schema["type"]:
        case "array":
            if not _bytes(schema["items"], names):
                raise ValueError("an array of things that take no bytes can't be read")
            return True
        case "map":
            return bool([_bytes(schema["values"], names)])
        case "record" | "error":
            names[schema["name"]] = False
            names[schema["name"]] = any([_bytes(entry["type"], names) for entry in schema["fields"]])
            return names[schema["name"]]
        case "enum" | "fixed" as word:
            names[schema["name"]] = word == "enum" or schema["size"] > 0
            return names[schema["name"]]
        case inner:
            return _bytes(inner, names)
